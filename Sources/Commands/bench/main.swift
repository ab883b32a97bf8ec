import Benchmarks
import EventLoop

let code = Bench.run(arguments: Array(CommandLine.arguments.dropFirst()), environment: Environment.all)
Environment.exit(code)

import Coordinator
import EventLoop

let ended = CoordinatorProgram.run(arguments: Array(CommandLine.arguments.dropFirst()), environment: Environment.all)
Environment.exit(ended.rawValue)

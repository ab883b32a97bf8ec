import Agent
import EventLoop

let ended = AgentProgram.run(arguments: Array(CommandLine.arguments.dropFirst()), environment: Environment.all)
Environment.exit(ended.rawValue)

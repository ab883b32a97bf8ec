import Agent
import EventLoop
import LeaseModel

let ended = AgentProgram.run(arguments: Array(CommandLine.arguments.dropFirst()), environment: Environment.all) {
    options, host, _ in
    { options.inventedUnits(on: host) ?? [] }
}
Environment.exit(ended.rawValue)

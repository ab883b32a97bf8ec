import EventLoop
import Simulation

Environment.exit(SimulateProgram.run(arguments: Array(CommandLine.arguments.dropFirst())))

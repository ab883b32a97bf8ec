import EventLoop

let arguments = Array(CommandLine.arguments.dropFirst())
guard arguments.first == "up" else {
    Console.write("leasehold: the commands are: up\n", to: .error)
    Environment.exit(2)
}
Environment.exit(UpCommand.run(arguments: Array(arguments.dropFirst()), environment: Environment.all))

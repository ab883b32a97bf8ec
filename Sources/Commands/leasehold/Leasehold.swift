import Agent
import EventLoop
import Settings

/// `leasehold`, the command line of the service.
@main enum Leasehold {
    static func main() {
        let code = Program.run(arguments: Array(CommandLine.arguments.dropFirst()), environment: Environment.all)
        Environment.exit(code.number)
    }
}

/// The program from its arguments to its exit code.
enum Program {
    /// Runs on the calling thread until the command has ended.
    static func run(arguments: [String], environment: [String: String]) -> ExitCode {
        if let name = arguments.first, case .onOwnLoop(let run)? = CommandTable.command(named: name)?.work {
            return .code(run(Array(arguments.dropFirst()), environment))
        }
        let loop: EventLoop
        do throws(LoopError) {
            loop = try EventLoop()
        } catch {
            Console.write("leasehold: \(error.description)\n", to: .error)
            return .unavailable
        }
        let surroundings = Surroundings.process(loop: loop, environment: environment)
        let ending = Ending(loop: loop)
        loop.spawn { await ending.end(with: await perform(arguments, surroundings)) }
        loop.run()
        return ending.assumeIsolated { $0.code }
    }

    /// Performs what the arguments ask for, and tells on the error stream what went wrong.
    static func perform(_ arguments: [String], _ surroundings: Surroundings) async -> ExitCode {
        var words = inPresentForm(arguments)
        // Scripts that called the former flags had nobody to ask either.
        if words != arguments, !surroundings.canAsk, words.first == "reset" || words.first == "force-release" {
            words.append("--yes")
        }
        do throws(Failure) {
            return try await perform(words, in: surroundings)
        } catch {
            let wantsDocument = words.prefix { $0 != "--" }.contains("--json")
            if wantsDocument, let document = error.document {
                surroundings.output.line(String(decoding: document, as: UTF8.self))
            }
            surroundings.error.line("leasehold: " + error.text)
            return error.exit
        }
    }

    private static func perform(_ words: [String], in surroundings: Surroundings) async throws(Failure) -> ExitCode {
        guard let name = words.first else {
            surroundings.error.write(Command.overview)
            return .usage
        }
        switch name {
        case "--help", "-h": return try await perform(["help"] + words.dropFirst(), in: surroundings)
        case "--version": return try await perform(["version"], in: surroundings)
        default: break
        }
        guard let command = CommandTable.command(named: name) else { throw unknown(name) }
        guard case .onLoop(let perform) = command.work else {
            throw Failure(.usage, Texts.runsAlone(name))
        }
        let reading: OptionTable.Reading
        do throws(SettingsError) {
            reading = try command.table.read(
                arguments: Array(words.dropFirst()), environment: surroundings.environment)
        } catch {
            throw Failure(.usage, error.description)
        }
        switch reading {
        case .help:
            surroundings.output.write(command.table.help)
            return .done
        case .version:
            surroundings.output.line("leasehold \(AgentProgram.version)")
            return .done
        case .settings(let settings): return try await perform(Given(settings), surroundings)
        }
    }

    static func unknown(_ name: String) -> Failure {
        let names = CommandTable.all.map(\.name)
        let near = names.first { $0.hasPrefix(name) && name.count >= 3 } ?? names.first { isNear(name, $0) }
        return Failure(.usage, Texts.unknownCommand(name, near))
    }

    /// Whether one letter too many, too few or wrong lies between two words.
    private static func isNear(_ a: String, _ b: String) -> Bool {
        let a = Array(a.utf8)
        let b = Array(b.utf8)
        guard abs(a.count - b.count) <= 1, a.count >= 3 else { return false }
        let front = zip(a, b).prefix { $0 == $1 }.count
        let back = zip(a.dropFirst(front).reversed(), b.dropFirst(front).reversed()).prefix { $0 == $1 }.count
        if max(a.count, b.count) - front - back <= 1 { return true }
        // Two neighbours exchanged.
        return a.count == b.count && a.count - front - back == 2 && a[front] == b[front + 1] && a[front + 1] == b[front]
    }

    /// The flags of the original's manager script, which are commands here.
    private static let formerFlags: KeyValuePairs = [
        "--status": "status", "--monitor": "monitor", "--reset": "reset", "--force-release": "force-release",
    ]

    /// The arguments with such a flag, wherever it stands, as the command that it is now.
    static func inPresentForm(_ arguments: [String]) -> [String] {
        guard arguments.first?.hasPrefix("--") == true,
            let position = arguments.firstIndex(where: { word in formerFlags.contains { $0.key == word } }),
            let command = formerFlags.first(where: { $0.key == arguments[position] })?.value
        else { return arguments }
        var rest = arguments
        rest.remove(at: position)
        return [command] + rest
    }
}

/// Where a command's code waits for the end of the loop.
private actor Ending {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    private let loop: EventLoop
    private(set) var code = ExitCode.unavailable

    init(loop: EventLoop) { self.loop = loop }

    func end(with code: ExitCode) {
        self.code = code
        loop.stop()
    }
}

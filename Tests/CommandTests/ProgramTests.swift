import EventLoop
import Settings
import TestSupport
import Testing

@testable import leasehold

@Suite struct `The program leasehold` {
    @Test func `every command tells what it does, with examples and exit codes, in 80 columns`() {
        #expect(Set(CommandTable.all.map(\.name)).count == CommandTable.all.count)
        for command in CommandTable.all where command.actions.isEmpty {
            let help = command.table.help
            #expect(help.contains("Exit codes:"), "\(command.name) does not tell its exit codes")
            #expect(help.contains("Examples:"), "\(command.name) has no example")
            #expect(
                !command.headline.isEmpty && Columns.of(command.headline) <= 62, "\(command.name): \(command.headline)")
            for line in help.split(separator: "\n") where !line.contains("leasehold ") {
                #expect(line.count <= 80, "\(command.name): \(line)")
            }
            for example in command.table.examples {
                #expect(example.line.contains("leasehold \(command.name)"), "\(example.line)")
            }
        }
        for line in Command.overview.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
    }

    @Test func `the examples are command lines that can be read`() throws {
        for command in CommandTable.all {
            for example in command.table.examples {
                let start = try #require(example.line.firstRange(of: "leasehold \(command.name)")?.upperBound)
                // Up to what belongs to the shell around it.
                let words = Self.words(String(example.line[start...].prefix { !")>|".contains($0) }))
                let reading = try command.table.read(arguments: words, environment: [:])
                if case .settings = reading { continue }
                Issue.record("\(example.line) asks for help")
            }
        }
    }

    private static func words(_ text: String) -> [String] {
        var words: [String] = []
        var isQuoted = false
        var word: String?
        for character in text {
            switch character {
            case "\"": isQuoted.toggle()
            case " " where !isQuoted:
                if let whole = word { words.append(whole) }
                word = nil
            default: word = (word ?? "") + String(character)
            }
        }
        return words + (word.map { [$0] } ?? [])
    }

    @Test(arguments: [
        (["--status"], ["status"]), (["--monitor", "--interval", "10"], ["monitor", "--interval", "10"]),
        (["--interval", "10", "--monitor"], ["monitor", "--interval", "10"]), (["--reset"], ["reset"]),
        (["--force-release", "--yes"], ["force-release", "--yes"]), (["status", "--reset"], ["status", "--reset"]),
        (["run", "--", "x", "--status"], ["run", "--", "x", "--status"]), ([], []),
    ])
    func `the flags of the former manager script are commands`(_ given: [String], _ meant: [String]) {
        #expect(Program.inPresentForm(given) == meant)
    }

    @Test func `the former flags work as they did`() async throws {
        try await withScene { (path, _, _) in
            path == "/v1/gpu/status"
                ? (200, Sample.status()) : (200, ["status": .string("reset"), "released": .integer(1)])
        } _: { scene in
            #expect(await scene.run(["--status"]).output.hasPrefix("Pool default: 1 of 2 GPUs free, 1 waiting\n"))
            let watched = await scene.run(["--monitor", "--interval", "10", "--count", "1"])
            #expect(watched.code == 0)
            // A script that called it had nobody to ask either.
            #expect(await scene.run(["--reset"]).code == 0)
            #expect(scene.asked.contains("/v1/gpu/reset"))
        }
    }

    @Test func `mistakes say what would be right, and are told apart from failures`() async throws {
        try await withScene { scene in
            let cases: [([String], String)] = [
                (["statsu"], "Did you mean status?"), (["mon"], "Did you mean monitor?"),
                (["x"], "See leasehold help."),
                (["lock"], "leasehold lock Root-Mic"), (["lock", "a", "b"], "one word too many"),
                (["lock", "a", "--ttl", "900"], "want 0.1 to 600 seconds"),
                (["lock", "a", "--token", "secret"], "Use the variable LEASEHOLD_TOKEN instead"),
                (["lock", "a", "--label", "zone"], "want NAME=VALUE"), (["status", "--url", "x"], "--url"),
                (["why"], "a request's id"), (["cordon"], "a host"), (["drain"], "a host"),
                (["verify", "x"], "a lease"),
                (["completions", "tcsh"], "bash|zsh|fish"), (["run"], "a program"),
                (["reset", "--host", "a", "--unit", "a/0", "--yes"], "exclude each other"),
                (["status", "--token-file", "/no/such"], "--token-file"),
            ]
            for (words, part) in cases {
                let ended = await scene.run(words)
                #expect(ended.code == 2, "\(words): \(ended)")
                #expect(ended.error.hasPrefix("leasehold: ") && ended.error.contains(part), "\(words): \(ended.error)")
                #expect(!ended.error.contains("secret"))
                #expect(ended.output.isEmpty)
            }
            #expect(await scene.run([]).code == 2)
            #expect(await scene.run(["help"]).output == Command.overview)
            let help = await scene.run(["help", "run"]).output
            #expect(await scene.run(["run", "--help"]).output == help)
            #expect(await scene.run(["--version"]).output.hasPrefix("leasehold "))
        }
    }

    @Test func `a token comes from a variable or a file, and an open file is told`() async throws {
        try await withScene { (_, _, _) in
            (200, Sample.status())
        } _: { scene in
            let path = "/tmp/lh-token-\(scene.port)"
            try Files.replace(path, with: Array("abc\n".utf8), mode: 0o644)
            defer { try? Files.remove(path) }
            let open = await scene.run(["status"], ["LEASEHOLD_TOKEN_FILE": path])
            #expect(open.code == 0)
            #expect(open.error.contains("chmod 600 \(path)"))
            #expect(scene.tokens == ["Bearer abc"])
            _ = await scene.run(["status"], ["LEASEHOLD_TOKEN": "def"])
            #expect(scene.tokens == ["Bearer abc", "Bearer def"])
        }
    }

    @Test func `completions know every command and option`() {
        let scripts = [Completions.bash, Completions.zsh, Completions.fish]
        for command in CommandTable.all {
            for script in scripts { #expect(script.contains(command.name)) }
            for option in command.table.options where option.places.contains(.flag) {
                #expect(Completions.bash.contains(option.flag) && Completions.zsh.contains(option.flag + "["))
                #expect(Completions.fish.contains("-l \(option.name)"))
            }
        }
        #expect(Completions.choices(LeaseOptions.kind.entry) == ["gpu", "model-load"])
        #expect(Completions.choices(ServiceOptions.url.entry).isEmpty)
    }
}

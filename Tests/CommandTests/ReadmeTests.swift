import EventLoop
import TestSupport
import Testing

/// What README.md shows, run as it stands against the real programs on the real address.
@Suite struct `The README` {
    /// Lines that are not run here, each with the reason.
    private static let exceptions = [
        "make up      # private Redis, coordinator and agent on this machine":
            "It builds for use, for minutes, and then starts the `leasehold up` that all else here runs against.",
        "make test    # all tests": "This is one of them.",
        "leasehold token create trainers --role client --file /etc/leasehold/tokens      # on the coordinator's machine":
            "It writes to /etc.",
        "leasehold-coordinator --redis redis://10.0.0.5:6379 --listen '*:8080' --tokens /etc/leasehold/tokens":
            "It needs the Redis of another machine.",
        "leasehold-agent --redis redis://10.0.0.5:6379 --first-join                      # on a GPU host; --first-join once":
            "It needs the Redis of another machine.",
    ]

    private struct Block {
        var language: String
        var text: String
        /// The lines behind a prompt.
        var commands: [String] {
            text.split(separator: "\n").filter { $0.hasPrefix("$ ") }.map { String($0.dropFirst(2)) }
        }
    }

    private static let root = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" }

    private static func blocks() throws -> [Block] {
        let parts = String(decoding: try Files.read("\(root)/README.md"), as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false)
        var blocks: [Block] = []
        var open: Block?
        for line in parts {
            if line.hasPrefix("```") {
                if let block = open { blocks.append(block) }
                open = open == nil ? Block(language: String(line.dropFirst(3)), text: "") : nil
            } else {
                open?.text += line + "\n"
            }
        }
        return blocks
    }

    private static func program(_ name: String) -> String? {
        (Environment.get("PATH") ?? "").split(separator: ":").map { "\($0)/\(name)" }.first { Files.isExecutable($0) }
    }

    /// How a line is run that would go on for ever or wants an answer; all others run as they are.
    private static func run(_ line: String, _ number: Int) -> String {
        let output = "out/\(number)"
        if line.hasPrefix("leasehold monitor") {
            return """
                bash -c 'exec \(line.prefix { $0 != "#" })' > \(output) 2>&1 & watching=$!
                until grep -q UNIT \(output); do sleep 0.05; kill -0 $watching || break; done
                kill $watching; wait $watching; echo $? > \(output).code

                """
        }
        if line.hasPrefix("leasehold force-release") {
            return
                "echo yes | script -qec '\(line.prefix { $0 != "#" })' /dev/null > \(output) 2>&1\necho $? > \(output).code\n"
        }
        return "{ \(line)\n} > \(output) 2>&1 < /dev/null\necho $? > \(output).code\n"
    }

    /// What a line that begins so has to print, and with which code it ends.
    private static let expected: [(line: String, code: Int, says: String)] = [
        ("curl -X POST http://localhost:8080/v1/gpu/lock", 0, #"{"status":"acquired","token":"node1/"#),
        ("curl -X POST http://localhost:8080/v1/gpu/unlock", 0, #"{"status":"released","released":1}"#),
        ("export PATH", 0, ""), ("leasehold status", 0, "Pool default: 4 of 4 GPUs free, 0 waiting"),
        ("leasehold run --id train", 0, "trained on node1/"), ("leasehold monitor", 143, "Simulated GPU 0, 26 GB"),
        ("leasehold force-release", 0, "0 leases ended"), ("swift", 0, "step 3\ngiven back\n"),
        ("python", 0, "trained on one by node1/"), ("js", 0, "the audio, AbortSignal"),
    ]

    @Test func `shows the example as it is compiled, and has no block that nothing runs`() throws {
        let blocks = try Self.blocks()
        let example = String(decoding: try Files.read("\(Self.root)/examples/swift/main.swift"), as: UTF8.self)
        #expect(blocks.filter { $0.language == "swift" }.map(\.text) == [example])
        #expect(Set(blocks.map(\.language)) == ["", "console", "js", "swift", "python"])
        #expect(!blocks.contains { $0.language == "" && $0.text.contains("$ ") })
        let commands = Set(blocks.flatMap(\.commands))
        for exception in Self.exceptions.keys {
            #expect(commands.contains(exception), "is no line any more: \(exception)")
        }
    }

    /// A network of its own has the standard port free, whatever else runs on this machine.
    private static let wrapper =
        ["unshare", "--net"] + (Environment.userID == 0 ? [] : ["--user", "--map-root-user"])

    /// Installed is not allowed: a container may forbid networks of one's own.
    private static func hasOwnNetwork() async throws -> Bool {
        guard ["unshare", "ip", "curl", "script"].allSatisfy({ program($0) != nil }) else { return false }
        return try await withLoop { loop in
            var command = ChildCommand(wrapper + ["ip", "link", "set", "lo", "up"])
            command.environment = ["PATH": Environment.get("PATH") ?? "/usr/bin:/bin"]
            return try await ChildProcess.run(command, deadline: .seconds(20), on: loop).exit == .exited(0)
        }
    }

    @Test(
        .enabled("SKIPPED: unshare, ip, curl or script is not installed, or no network of one's own is allowed here") {
            try await hasOwnNetwork()
        })
    func `can be pasted line by line`() async throws {
        let blocks = try Self.blocks()
        let lines = blocks.flatMap(\.commands).filter { Self.exceptions[$0] == nil }
        let programs = Files.directory(of: Environment.executablePath ?? "")
        let directory = "/tmp/lh-readme-\(SecureRandom.randomHex(bytes: 6))"
        try Files.makeDirectory("\(directory)/out")
        defer { try? Files.removeTree(directory) }
        func text(_ name: String) -> String {
            (try? Files.read("\(directory)/\(name)")).map { String(decoding: $0, as: UTF8.self) } ?? ""
        }
        try Files.replace(
            "\(directory)/train.sh", with: Array("#!/bin/sh\necho trained on $LEASEHOLD_UNIT\n".utf8), mode: 0o755)
        var script = """
            ip link set lo up
            mkdir .build && ln -s \(programs) .build/release
            .build/release/leasehold up --simulate 4 --host-id node1 --state "$PWD/state" > up 2>&1 & up=$!
            trap 'kill $up; wait $up' EXIT
            until grep -q Ctrl-C up; do sleep 0.05; kill -0 $up || exit 9; done

            """
        var names = lines
        for (number, line) in lines.enumerated() { script += Self.run(line, number) }
        for block in blocks where ["swift", "python", "js"].contains(block.language) {
            var line: String
            switch block.language {
            case "swift": line = ".build/release/example-swift"
            case "python":
                guard Self.program("python3") != nil else {
                    print("SKIPPED: the README's lines of Python, python3 is not installed")
                    continue
                }
                let before = "batches = ['one']\ndef train(batch, device): print('trained on', batch, 'by', device)\n"
                try Files.replace("\(directory)/snippet.py", with: Array((before + block.text).utf8))
                line = "PYTHONPATH=\(Self.root)/examples/python python3 -B snippet.py"
            default:
                guard Self.program("node") != nil, Self.program("chromium") != nil else {
                    print("SKIPPED: the README's lines for pages, node or chromium is not installed")
                    continue
                }
                try Files.replace("\(directory)/snippet.js", with: Array(block.text.utf8))
                line =
                    "node \(Self.root)/Tests/BrowserTests/readme.mjs http://localhost:8080/examples/mic.html snippet.js"
            }
            script += Self.run(line, names.count)
            names.append(block.language)
        }
        try Files.replace("\(directory)/script", with: Array(script.utf8))
        let result = try await withLoop { loop in
            var command = ChildCommand(Self.wrapper + ["bash", "script"])
            command.directory = directory
            command.environment = ["PATH": Environment.get("PATH") ?? "/usr/bin:/bin", "HOME": directory, "USER": "me"]
            command.diesWithParent = .kill
            return try await ChildProcess.run(command, deadline: .seconds(180), on: loop)
        }
        let said = String(decoding: result.errorOutput, as: UTF8.self)
        try #require(result.exit == .exited(0), "\(result.exit): \(said) \(text("up"))")
        for (number, name) in names.enumerated() {
            let expected = try #require(
                Self.expected.first { name.hasPrefix($0.line) }, "nobody says what this line has to print: \(name)")
            #expect(text("out/\(number).code") == "\(expected.code)\n", "\(name): \(text("out/\(number)"))")
            let said = text("out/\(number)")
            #expect(expected.says.isEmpty ? said.isEmpty : said.contains(expected.says), "\(name): \(said)")
        }
        // The banner is shown as it is, but for what differs from machine to machine.
        let banner = try #require(blocks.first { $0.text.contains("is up.") }).text.split(separator: "\n")
        for line in banner where !["  GPUs", "  Redis", "  State"].contains(where: { line.hasPrefix($0) }) {
            #expect(text("up").contains(line), "\(line)")
        }
    }
}

import Settings
import Testing

@Suite struct `A configuration file` {
    @Test func `has values, comments and quotes`() throws {
        let file = """
            # first
              port=1   # trailing

            max_ttl = 20\t
            redis = "redis://:p # \\"x\\" \\\\@h"  # quoted
            label = a#b
            """
        let given = try Example.read(file: file)
        #expect(try given.value(Example.port) == 1)
        #expect(try given.value(Example.ttl) == .seconds(20))
        #expect(try given.value(Example.redis) == #"redis://:p # "x" \@h"#)
        #expect(try given.list(Example.labels) == ["a#b"])
    }

    @Test func `may come from another system`() throws {
        let given = try Example.read(file: "port = 1\r\nmax-ttl = 20\r\n")
        #expect(try given.value(Example.port) == 1)
        #expect(given.origin(Example.ttl) == .file(path: "e.conf", line: 2))
    }

    @Test(arguments: ["port", "= 1", "port = \"1", "port = \"1\" 2", "port = \"1\\"])
    func `is refused with the line that cannot be read`(_ line: String) {
        #expect(Example.refusal(file: "# one\n" + line)?.hasPrefix("e.conf, line 2: ") == true)
    }
}

@Suite struct `The help` {
    @Test func `fits a terminal and names everything`() {
        let help = Example.table.help
        for line in help.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
        for option in Example.table.options {
            if option.places.contains(.flag) { #expect(help.contains("\n  \(option.flag)")) }
            if let variable = option.variable { #expect(help.contains(variable)) }
        }
        let flowing = help.split { $0 == " " || $0 == "\n" }.joined(separator: " ")
        #expect(flowing.contains("From 0 to 65535. Default: 8080. Example: --port 9090. [LEASEHOLD_PORT]"))
        #expect(help.hasPrefix("Usage: example [OPTION...] [--] COMMAND [ARGUMENT...]\n\nDoes what the tests need.\n"))
        #expect(help.contains("\nLogging:\n  --format FORMAT\n"))
        #expect(help.contains("\n  -h, --help\n") && help.hasSuffix("Exit codes: 0 done, 2 wrong option.\n"))
    }

    @Test func `has twins for programs and documents`() {
        let lines = Example.table.listing.split(separator: "\n").map {
            $0.split(separator: "\t", omittingEmptySubsequences: false)
        }
        #expect(lines.count == Example.table.options.count)
        #expect(lines.allSatisfy { $0.count == 7 })
        #expect(lines[0] == ["--port", "PORT", "LEASEHOLD_PORT", "port", "8080", "0 to 65535", "Where it listens."])
        #expect(Example.table.markdown.contains("| `--port PORT` | `LEASEHOLD_PORT` | `8080` | Where it listens."))
    }
}

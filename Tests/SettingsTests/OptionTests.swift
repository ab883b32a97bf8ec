import Settings
import Testing

@Suite struct `Options` {
    @Test func `are standard where nothing is given`() throws {
        let given = try Example.read()
        #expect(try given.value(Example.port) == 8080)
        #expect(try given.value(Example.ttl) == .seconds(600))
        #expect(try given.value(Example.format) == .human)
        #expect(try given.isOn(Example.verbose) == false)
        #expect(try given.list(Example.labels) == [])
        #expect(try given.optional(Example.token) == nil)
        #expect(given.origin(Example.port) == .standard)
    }

    @Test func `count from the flag first, then the variable, then the file`() throws {
        let environment = ["LEASEHOLD_PORT": "2", "LEASEHOLD_MAX_TTL": "20"]
        let file = "port = 3\nmax-ttl = 30\nredis = unix:///r"
        let given = try Example.read(["--port", "1"], environment, file: file)
        #expect(try given.value(Example.port) == 1)
        #expect(try given.value(Example.ttl) == .seconds(20))
        #expect(try given.value(Example.redis) == "unix:///r")
        #expect(given.origin(Example.port) == .flag)
        #expect(given.origin(Example.ttl) == .variable("LEASEHOLD_MAX_TTL"))
        #expect(given.origin(Example.redis) == .file(path: "e.conf", line: 3))
    }

    @Test func `take a value after a blank or an equals sign, the last one counting`() throws {
        #expect(try Example.read(["--port=1", "--port", "2"]).value(Example.port) == 2)
        #expect(try Example.read(["--redis=a=b"]).value(Example.redis) == "a=b")
        #expect(try Example.read(["--even", "-4"]).value(Example.even) == -4)
    }

    @Test func `let a flag be taken back`() throws {
        #expect(try Example.read(["--verbose"]).isOn(Example.verbose))
        #expect(try Example.read(["--verbose=false"], ["LEASEHOLD_VERBOSE": "1"]).isOn(Example.verbose) == false)
        #expect(try Example.read([], ["LEASEHOLD_VERBOSE": "Yes"]).isOn(Example.verbose))
        #expect(Example.refusal([], ["LEASEHOLD_VERBOSE": "maybe"])?.contains("want true or false") == true)
    }

    @Test func `gather lists from one place, not from several`() throws {
        #expect(try Example.read(["--label", "a=1", "--label", "b=2,3"]).list(Example.labels) == ["a=1", "b=2,3"])
        #expect(try Example.read([], ["LEASEHOLD_LABEL": "a=1, b=2"]).list(Example.labels) == ["a=1", "b=2"])
        #expect(
            try Example.read([], file: "label = a=1\nlabel = b=2,c=3").list(Example.labels) == ["a=1", "b=2", "c=3"])
        #expect(try Example.read(["--label", "z=1"], ["LEASEHOLD_LABEL": "a=1"]).list(Example.labels) == ["z=1"])
    }

    @Test func `stand aside for the words of a command`() throws {
        let given = try Example.read(["a", "--port", "1", "-", "--", "train", "--port", "x", "--", "--help"])
        #expect(given.operands == ["a", "-"])
        #expect(given.rest == ["train", "--port", "x", "--", "--help"])
        #expect(try given.value(Example.port) == 1)
        let strict = OptionTable(program: "strict", summary: "", options: [Example.port.entry])
        for words in [["word"], ["--", "word"]] {
            #expect(throws: SettingsError("strict takes no \"word\". See strict --help.")) {
                try strict.read(arguments: words, environment: [:])
            }
        }
    }

    @Test func `count help and version before any mistake`() throws {
        for words in [["--help"], ["--nonsense", "-h"], ["--port", "x", "--help"]] {
            guard case .help = try Example.table.read(arguments: words, environment: [:]) else {
                Issue.record("no help for \(words)")
                continue
            }
        }
        guard case .version = try Example.table.read(arguments: ["--version"], environment: [:]) else {
            Issue.record("no version")
            return
        }
    }

    @Test(arguments: [
        ("2", Duration.seconds(2)), ("1.5", .milliseconds(1500)), ("250ms", .milliseconds(250)), ("3s", .seconds(3)),
        ("2m", .seconds(120)), ("600", .seconds(600)), ("0.1", .milliseconds(100)),
    ])
    func `take spans of time with and without a unit`(_ text: String, _ expected: Duration) throws {
        let value = try Example.read(["--max-ttl", text]).value(Example.ttl)
        #expect(abs((value - expected).components.attoseconds) < 1_000_000_000)
        #expect(value.components.seconds == expected.components.seconds)
    }

    @Test(arguments: [
        "", " ", "-1", "+2", "1e2", "0x10", "nan", "inf", ".5", "5.", "1.2.3", "2 m", "1d", "0", "601", "11m",
        "99999999999999999999",
    ])
    func `refuse other spans`(_ text: String) {
        #expect(Example.refusal(["--max-ttl=\(text)"]) != nil)
    }

    @Test func `are found before the rest is read`() {
        let table = Example.table
        #expect(table.peek(Example.file, arguments: [], environment: [:]) == nil)
        #expect(table.peek(Example.file, arguments: [], environment: ["LEASEHOLD_CONFIG": "v"]) == "v")
        #expect(table.peek(Example.file, arguments: ["--config", "f"], environment: ["LEASEHOLD_CONFIG": "v"]) == "f")
        #expect(table.peek(Example.file, arguments: ["--config=g", "--", "--config", "x"], environment: [:]) == "g")
    }

    @Test func `pass over variables that are empty`() throws {
        #expect(try Example.read([], ["LEASEHOLD_PORT": "", "LEASEHOLD_LABEL": ""]).value(Example.port) == 8080)
    }
}

@Suite struct `What is wrong with the settings` {
    @Test func `is told with option, value, range and remedy`() {
        #expect(Example.refusal(["--port", "70000"]) == #"--port: got "70000", want 0 to 65535, as in --port 9090."#)
        #expect(
            Example.refusal([], ["LEASEHOLD_MAX_TTL": "-5"])
                == #"LEASEHOLD_MAX_TTL (the variable for --max-ttl): got "-5", want 0.1 to 600 seconds."#)
        #expect(
            Example.refusal(file: "\n# c\nformat = xml")
                == #"e.conf, line 3, format: got "xml", want human or json."#)
        #expect(Example.refusal(["--even", "3"]) == #"--even: got "3", want an even number."#)
        #expect(Example.refusal(["--port"]) == "--port needs a value: PORT, 0 to 65535. See example --help.")
        #expect(Example.refusal(["--port", "--verbose"])?.hasPrefix("--port needs a value") == true)
        #expect(throws: SettingsError("example needs --even: an even number. See example --help.")) {
            try Example.read().value(Example.even)
        }
        #expect(throws: SettingsError(#"--port: got "8080", want a port that is free, as in --port 9090."#)) {
            throw try Example.read().refuse(Example.port, want: "a port that is free")
        }
    }

    @Test(arguments: [
        ("--prot", "--port"), ("--por", "--port"), ("--max_ttl", "--max-ttl"), ("--Redis", "--redis"),
        ("--labels", "--label"), ("--hlep", "--help"), ("--verbsoe", "--verbose"),
    ])
    func `comes with the option that was meant`(_ typed: String, _ meant: String) {
        #expect(
            Example.refusal([typed, "1"])
                == "\"\(typed)\" is no option of example. Did you mean \(meant)? See example --help.")
    }

    @Test func `comes without a guess where nothing is near`() {
        #expect(Example.refusal(["--quux"]) == "\"--quux\" is no option of example. See example --help.")
        #expect(Example.refusal(["-p"]) == "\"-p\" is no option of example. See example --help.")
        #expect(
            Example.refusal(file: "prot = 1") == #"e.conf, line 1: "prot" is no setting of example. Did you mean port?"#
        )
        #expect(Example.refusal(file: "even = 2")?.contains("no setting") == true, "even is a flag only")
    }

    @Test func `never shows a secret, and secrets stay off the command line`() {
        #expect(Example.refusal([], ["LEASEHOLD_TOKEN": "hunter2"]) == nil)
        #expect(
            Example.refusal(["--token", "hunter2"])
                == "--token cannot be given here. Use the variable LEASEHOLD_TOKEN or the file's token instead.")
        #expect(
            Example.refusal(file: "token = \"\"")
                == "e.conf, line 1, token: got a secret that will not do, want a text that is not empty.")
    }

    @Test func `shows no control characters of the value`() throws {
        let refusal = try #require(Example.refusal(["--port", "\u{1B}[31m\n9" + String(repeating: "9", count: 999)]))
        #expect(!refusal.contains("\u{1B}") && !refusal.contains("\n") && refusal.count < 160)
    }
}

import EventLoop
import TestSupport
import Testing

@testable import leasehold

/// The scripts in the shells that they are for: what a person has typed, and what it becomes.
@Suite struct `Completions in their shells` {
    /// Lines of which one word is left, with that word.
    private static let unique: [(typed: String, word: String)] = [
        ("leasehold sta", "status"), ("leasehold lock --prio", "--priority"),
        ("leasehold lock --kind mod", "model-load"), ("leasehold lock --id x --kind mod", "model-load"),
        ("leasehold completions fi", "fish"), ("leasehold token cr", "create"),
        ("leasehold help force", "force-release"),
        ("leasehold run --on-lost w", "warn"), ("leasehold lock --token-file /etc/hostn", "/etc/hostname"),
        ("leasehold run -- setpri", "setpriv"), ("leasehold run --id x -- setpri", "setpriv"),
        ("leasehold run -- ls /etc/hostn", "/etc/hostname"),
    ]

    private static func program(_ name: String) -> String? {
        (Environment.get("PATH") ?? "").split(separator: ":").map { "\($0)/\(name)" }.first { Files.isExecutable($0) }
    }

    /// Runs `arguments` beside files of these names in a directory that is their HOME, and returns what they print.
    private func output(
        of arguments: [String], beside files: [String: String],
        _ directory: String = "/tmp/lh-shell-\(SecureRandom.randomHex(bytes: 6))"
    ) async throws -> [String] {
        try Files.makeDirectory(directory)
        defer { try? Files.removeTree(directory) }
        for (name, text) in files { try Files.replace("\(directory)/\(name)", with: Array(text.utf8)) }
        return try await withLoop { loop in
            var command = ChildCommand(arguments)
            command.directory = directory
            command.environment = [
                "PATH": Environment.get("PATH") ?? "/usr/bin:/bin", "HOME": directory, "ZDOTDIR": directory,
                "TERM": "xterm",
            ]
            let result = try await ChildProcess.run(command, deadline: .seconds(60), on: loop)
            let said = String(decoding: result.errorOutput, as: UTF8.self)
            #expect(result.exit == .exited(0) && said.isEmpty, "\(result.exit): \(said)")
            let told = (try? Files.read("\(directory)/told")) ?? result.output
            return String(decoding: told, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
                .map(String.init)
        }
    }

    /// In single quotes of any of these shells.
    private static var quoted: [String] { unique.map { "'\($0.typed)'" } }

    @Test(.enabled(if: program("bash") != nil, "SKIPPED: bash is not installed"))
    func `bash`() async throws {
        let driver = """
            . ./script
            for line in \(Self.quoted.joined(separator: " ")); do
              COMP_WORDS=($line) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
              _leasehold
              printf '%s ' "${COMPREPLY[@]}" | tr ' ' '\\n' | sort -u | tr '\\n' ' '
              echo
            done

            """
        let told = try await output(
            of: ["bash", "-u", "./driver"], beside: ["driver": driver, "script": Completions.bash])
        for (line, expected) in zip(told, Self.unique) {
            #expect(line.split(separator: " ").map(String.init) == [expected.word], "\(expected.typed): \(line)")
        }
        #expect(told.count > Self.unique.count)
    }

    @Test(.enabled(if: program("fish") != nil, "SKIPPED: fish is not installed"))
    func `fish`() async throws {
        let driver = """
            source ./script
            for line in \(Self.quoted.joined(separator: " "))
              echo (complete -C $line | string split -f 1 \\t | sort -u)
            end

            """
        let told = try await output(
            of: ["fish", "-N", "./driver"], beside: ["driver": driver, "script": Completions.fish])
        for (line, expected) in zip(told, Self.unique) {
            #expect(line == expected.word, "\(expected.typed): \(line)")
        }
        #expect(told.count > Self.unique.count)
    }

    /// zsh completes on a terminal alone: `script` gives it one, and its first line is completed before a key is pressed.
    @Test(.enabled(if: program("zsh") != nil && program("script") != nil, "SKIPPED: zsh or script is not installed"))
    func `zsh`() async throws {
        let driver = """
            autoload -Uz compinit; compinit -u -D
            source $ZDOTDIR/script
            zle-line-init() {
              for line in \(Self.quoted.joined(separator: " ")); do
                BUFFER=$line; CURSOR=$#BUFFER
                zle complete-word 2>> $ZDOTDIR/told
                print -r -- "$BUFFER" >> $ZDOTDIR/told
              done
              exit
            }
            zle -N zle-line-init

            """
        let told = try await output(
            of: ["script", "-qec", "zsh -d -i", "/dev/null"], beside: [".zshrc": driver, "script": Completions.zsh])
        for (line, expected) in zip(told, Self.unique) {
            let before = expected.typed.prefix(through: expected.typed.lastIndex(of: " ") ?? expected.typed.startIndex)
            #expect(line == before + expected.word + " ", "\(expected.typed)")
        }
        #expect(told.count > Self.unique.count)
    }
}

import Settings

/// A program like those of this house.
enum Example {
    enum Format: String, Sendable { case human, json }

    static let port = Option.integer(
        "port", "PORT", in: 0...65535, standard: 8080, help: "Where it listens.", example: "--port 9090")
    static let ttl = Option.seconds(
        "max-ttl", in: .milliseconds(100)...(.seconds(600)), standard: .seconds(600), help: "The longest lease.")
    static let redis = Option.text(
        "redis", "URL", standard: .text("redis://127.0.0.1:6379"),
        help: "The pool's Redis: redis://[USER:PASSWORD@]HOST:PORT[/DB] or unix:///PATH[?db=N], whichever is at hand.")
    static let labels = Option.list("label", "NAME=VALUE", help: "A label.")
    static let verbose = Option.flag("verbose", help: "Say more.")
    static let format = Option<Format>.choice(
        "format", "FORMAT", ["human": .human, "json": .json], standard: "human", help: "How lines look.",
        section: "Logging")
    static let token = Option.text(
        "token", "TOKEN", help: "Who may call.", places: [.variable, .file], secrecy: .secret)
    static let even = Option<Int>("even", .one("N"), allowed: "an even number", help: "Even.", places: .flag) {
        (text) throws(WrongValue) in
        guard let number = Int(text), number % 2 == 0 else { throw WrongValue() }
        return number
    }
    static let file = Option.text("config", "PATH", help: "Where the file is.", places: [.flag, .variable])

    static let table = OptionTable(
        program: "example", summary: "Does what the tests need.", operands: "[--] COMMAND [ARGUMENT...]",
        options: [
            port.entry, ttl.entry, redis.entry, labels.entry, verbose.entry, format.entry, token.entry, even.entry,
            file.entry,
        ],
        examples: ["example --port 9090": "Listens elsewhere."], notes: ["Exit codes: 0 done, 2 wrong option."])

    static func read(
        _ arguments: [String] = [], _ environment: [String: String] = [:], file: String? = nil
    ) throws -> GivenSettings {
        let file = try file.map { try ConfigurationFile($0, path: "e.conf") }
        guard case .settings(let given) = try table.read(arguments: arguments, environment: environment, file: file)
        else { throw SettingsError("help or version") }
        return given
    }

    /// The message that these settings are refused with, nil where they are taken.
    static func refusal(
        _ arguments: [String] = [], _ environment: [String: String] = [:], file: String? = nil
    ) -> String? {
        do {
            _ = try read(arguments, environment, file: file)
            return nil
        } catch {
            return (error as? SettingsError)?.description
        }
    }
}

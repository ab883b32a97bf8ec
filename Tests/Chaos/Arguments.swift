/// `--name value` pairs of a command line.
struct Arguments: Sendable {
    struct Wrong: Error, CustomStringConvertible { let description: String }

    private var values: [String: String] = [:]

    init(_ words: some Sequence<String>) throws {
        var name: String?
        for word in words {
            if word.hasPrefix("--") {
                if let name { values[name] = "" }
                name = String(word.dropFirst(2))
            } else {
                guard let given = name else { throw Wrong(description: "\"\(word)\" follows no --name") }
                values[given] = word
                name = nil
            }
        }
        if let name { values[name] = "" }
    }

    func optional(_ name: String) -> String? { values[name] }

    func text(_ name: String) throws -> String {
        guard let value = values[name] else { throw Wrong(description: "--\(name) is missing") }
        return value
    }

    func number(_ name: String, _ standard: Int? = nil) throws -> Int {
        guard let text = values[name] else {
            guard let standard else { throw Wrong(description: "--\(name) is missing") }
            return standard
        }
        guard let number = Int(text) else { throw Wrong(description: "--\(name): got \"\(text)\", want a number") }
        return number
    }
}

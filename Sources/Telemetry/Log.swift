/// How much a line matters.
package enum LogLevel: Int, Comparable, Sendable, CaseIterable {
    case debug, info, warning, error

    package static func < (a: LogLevel, b: LogLevel) -> Bool { a.rawValue < b.rawValue }

    /// As settings and lines spell it.
    package var name: String {
        switch self {
        case .debug: "debug"
        case .info: "info"
        case .warning: "warning"
        case .error: "error"
        }
    }
}

/// A value in a log line.
package enum LogField: Equatable, Sendable, ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral {
    case text(String)
    case integer(Int64)

    package init(stringLiteral value: String) { self = .text(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
}

/// Events with fields, one a line, handed to a sink.
package struct Log: Sendable {
    package enum Format: Sendable {
        case human, json
    }

    private let level: LogLevel
    private let format: Format
    private let labels: [(String, LogField)]
    private let sink: @Sendable (String) -> Void
    private let clock: @Sendable () -> Duration

    /// `clock` tells the time since 1970; each line that `sink` gets is without a line end.
    package init(
        level: LogLevel, format: Format, labels: [(String, LogField)] = [],
        sink: @escaping @Sendable (String) -> Void, clock: @escaping @Sendable () -> Duration
    ) {
        self.level = level
        self.format = format
        self.labels = labels
        self.sink = sink
        self.clock = clock
    }

    /// Says nothing.
    package static let silent = Log(level: .error, format: .human, sink: { _ in }, clock: { .zero })

    /// The same log with more labels on each line.
    package func with(_ more: KeyValuePairs<StaticString, LogField>) -> Log {
        let labels = labels + more.map { ("\($0.key)", $0.value) }
        return Log(level: level, format: format, labels: labels, sink: sink, clock: clock)
    }

    package func debug(_ event: StaticString, _ fields: KeyValuePairs<StaticString, LogField> = [:]) {
        write(.debug, event, fields)
    }

    package func info(_ event: StaticString, _ fields: KeyValuePairs<StaticString, LogField> = [:]) {
        write(.info, event, fields)
    }

    package func warning(_ event: StaticString, _ fields: KeyValuePairs<StaticString, LogField> = [:]) {
        write(.warning, event, fields)
    }

    package func error(_ event: StaticString, _ fields: KeyValuePairs<StaticString, LogField> = [:]) {
        write(.error, event, fields)
    }

    private func write(_ level: LogLevel, _ event: StaticString, _ fields: KeyValuePairs<StaticString, LogField>) {
        guard level >= self.level else { return }
        var line = "\(clock().components.seconds) \(level.name) \(event)"
        for (name, value) in labels + fields.map({ ("\($0.key)", $0.value) }) {
            switch value {
            case .text(let text): line += " \(name)=\(text.debugDescription)"
            case .integer(let number): line += " \(name)=\(number)"
            }
        }
        sink(line)
    }
}

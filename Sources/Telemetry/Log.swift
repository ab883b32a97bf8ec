/// Events with fields, one a line, handed to a sink.
///
/// An event's name is fixed text; whatever comes from outside is a field's value, and is escaped so that it can neither
/// begin a line of its own nor steer a terminal.
package struct Log: Sendable {
    package enum Format: Sendable, CaseIterable {
        /// `2026-11-24T16:13:29.123Z info lease_granted host="node1" lease="node1/0#17"`
        case human
        /// One JSON object a line: `time`, `level`, `event`, then the fields.
        case json
    }

    private let level: LogLevel
    private let format: Format
    private let labels: [LogLine.Field]
    private let sink: @Sendable (String) -> Void
    private let clock: @Sendable () -> Duration

    /// `clock` tells the time since 1970; each line that `sink` gets is without a line end.
    package init(
        level: LogLevel, format: Format, labels: [(String, LogField)] = [],
        sink: @escaping @Sendable (String) -> Void, clock: @escaping @Sendable () -> Duration
    ) {
        self.level = level
        self.format = format
        self.labels = LogLine.merged([], labels.map { LogLine.Field(name: $0.0, value: $0.1) })
        self.sink = sink
        self.clock = clock
    }

    /// Says nothing.
    package static let silent = Log(level: .error, format: .human, sink: { _ in }, clock: { .zero })

    /// The same log with more labels on each line; one of a name that is there already takes its place.
    package func with(_ more: KeyValuePairs<StaticString, LogField>) -> Log {
        let all = LogLine.merged(labels, Self.fields(more))
        return Log(
            level: level, format: format, labels: all.map { ($0.name, $0.value) }, sink: sink, clock: clock)
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
        let line = LogLine(
            time: clock(), level: level, event: "\(event)", fields: LogLine.merged(labels, Self.fields(fields)))
        sink(format == .json ? line.json : line.human)
    }

    private static func fields(_ pairs: KeyValuePairs<StaticString, LogField>) -> [LogLine.Field] {
        pairs.map { LogLine.Field(name: "\($0.key)", value: $0.value) }
    }
}

import CSystem
import EventLoop
import Glibc
import JSON

/// Where one process writes what it did and saw: a line an entry, written at once, so that kill -9 loses nothing.
///
/// Moments are microseconds since boot, a clock that all processes of the machine share.
final class History: Sendable {
    private let descriptor: Int32

    init(_ path: String) throws(LoopError) {
        descriptor = shim_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw LoopError(call: "open \(path)", code: errno) }
    }

    deinit { close(descriptor) }

    /// Adds an entry of this kind; `t` is added.
    func note(_ kind: String, _ members: JSONObject, at moment: Int64 = Moment.now) {
        var line: JSONObject = ["k": .string(kind), "t": .integer(moment)]
        for member in members { line[member.name] = member.value }
        let bytes = JSONValue.object(line).encoded() + [UInt8(ascii: "\n")]
        _ = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    }
}

/// Microseconds since this machine booted.
enum Moment {
    static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }
}

extension JSONValue {
    static func milliseconds(_ duration: Duration) -> JSONValue { .integer(duration.microseconds / 1000) }
}

extension Duration {
    var microseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000_000 + attoseconds / 1_000_000_000_000
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByDictionaryLiteral,
    ExpressibleByArrayLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        var object = JSONObject()
        for (name, value) in elements { object[name] = value }
        self = .object(object)
    }
}

extension Duration {
    var inSeconds: Double { Double(microseconds) / 1_000_000 }
}

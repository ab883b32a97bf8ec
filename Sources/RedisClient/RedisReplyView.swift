import CSystem

/// A reply as hiredis holds it: valid only within the call that hands it over, and read there without a copy of each part.
struct RedisReplyView {
    private let pointer: UnsafeMutablePointer<redisReply>

    init(_ pointer: UnsafeMutablePointer<redisReply>) { self.pointer = pointer }

    /// The text of an error that is the whole answer.
    var error: String? { pointer.pointee.type == REDIS_REPLY_ERROR ? decoded : nil }

    var isNull: Bool { pointer.pointee.type == REDIS_REPLY_NIL }

    /// How many elements an array has; nil for all else.
    var count: Int? { pointer.pointee.type == REDIS_REPLY_ARRAY ? Int(pointer.pointee.elements) : nil }

    /// An element of an array; nil where there is none.
    subscript(index: Int) -> RedisReplyView? {
        guard let count, index < count, let element = pointer.pointee.element[index] else { return nil }
        return RedisReplyView(element)
    }

    /// What bytes or a status hold; nil for all else.
    var bytes: UnsafeRawBufferPointer? {
        switch pointer.pointee.type {
        case REDIS_REPLY_STRING, REDIS_REPLY_STATUS: raw
        default: nil
        }
    }

    /// The same as text, with a mark in place of what is no UTF-8.
    var text: String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

    /// A copy that outlives the call.
    var reply: RedisReply {
        switch pointer.pointee.type {
        case REDIS_REPLY_STRING: .bytes(Array(raw))
        case REDIS_REPLY_STATUS: .status(decoded)
        case REDIS_REPLY_ERROR: .error(decoded)
        case REDIS_REPLY_INTEGER: .integer(pointer.pointee.integer)
        case REDIS_REPLY_ARRAY: .array((0..<Int(pointer.pointee.elements)).map { self[$0]?.reply ?? .null })
        default: .null
        }
    }

    private var raw: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: pointer.pointee.str, count: Int(pointer.pointee.len))
    }

    private var decoded: String { String(decoding: raw, as: UTF8.self) }
}

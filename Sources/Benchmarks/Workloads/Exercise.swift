import JSON

/// A fixed piece of work, the same in every run, whose instructions are counted.
enum Exercise: String, Sendable {
    /// A lock call's body read and its answer written.
    case json

    /// True where it came to what it should.
    func perform(_ count: Int) -> Bool {
        let body = Array(
            #"{"id": "train-7b", "priority": 15, "timeout": 120, "ttl": 60, "min_vram_mb": 24000, "labels": {"zone": "a"}}"#
                .utf8)
        var written = 0
        for _ in 0..<count {
            guard let call = try? JSONParser.parse(body).object, let holder = call["id"]?.string else { return false }
            var writer = JSONWriter()
            writer.object { writer in
                writer.member("status", "acquired")
                writer.member("token", "node1/0#1764000000000000.5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c")
                writer.member("holder", holder)
                writer.member("fencing_token", 1_764_000_000_000_000)
                writer.member("expires_in", 118.9)
            }
            written += writer.bytes.count
        }
        return written > count
    }
}

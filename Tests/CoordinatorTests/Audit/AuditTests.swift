import EventLoop
import JSON
import LeaseModel
import LeaseStore
import RedisClient
import Telemetry
import TestSupport
import Testing

@testable import Coordinator

@Suite struct `The audit file` {
    private static func lines(_ path: String) -> [[UInt8]] {
        ((try? Files.read(path)) ?? []).split(separator: 0x0A).map(Array.init)
    }

    /// Markers and types of events, in order; fails where the chain is broken.
    private static func words(_ path: String) throws -> [String] {
        var check = AuditCheck()
        return try lines(path).map { line in
            let read = try check.take(line)
            return read.entry["marker"]?.string ?? read.entry["type"]?.string ?? ""
        }
    }

    private static func ids(_ path: String) -> [String] {
        lines(path).compactMap { AuditLine($0)?.entry["id"]?.string }
    }

    private static func start(_ redis: TestRedis) async throws -> Coordinator {
        var settings = CoordinatorSettings(redis: redis.endpoint, version: "test")
        settings.listen = [.unix(path: "\(redis.directory)/l.sock")]
        settings.auditPath = "\(redis.directory)/audit.jsonl"
        let coordinator = Coordinator(settings: settings, loop: redis.loop, log: .silent)
        try await coordinator.start()
        try await eventually("the file follows the stream") { await coordinator.auditState == .following }
        return coordinator
    }

    private static func stop(_ coordinator: Coordinator, _ redis: TestRedis) async {
        await redis.loop.spawn { await coordinator.stop() }.value
    }

    /// One event a call.
    private static func happen(_ redis: TestRedis, _ count: Int, from first: Int = 0) async throws {
        for number in 0..<count {
            _ = try await redis.client.command([
                "XADD", "lh:{default}:events", "*", "type", "released", "at", "1000", "number",
                .text("\(first + number)"), "by", "a\"\n",
                "why", "test",
            ])
        }
    }

    @Test func `tells which entry was changed, removed, moved or written anew`() throws {
        var chain = AuditChain()
        var lines = (1...5).map { chain.line(Array("{\"id\":\"\($0)-0\",\"why\":\"w\($0)\"}".utf8)) }
        for index in lines.indices { lines[index].removeLast() }
        func broken(_ lines: [[UInt8]]) -> String {
            var check = AuditCheck()
            do {
                for line in lines { _ = try check.take(line) }
                return "whole from \(check.first ?? 0) to \(check.last)"
            } catch {
                return "\(error)"
            }
        }
        func changed(_ line: [UInt8], _ from: String, _ to: String) -> [UInt8] {
            Array(String(decoding: line, as: UTF8.self).replacing(from, with: to).utf8)
        }
        #expect(broken(lines) == "whole from 1 to 5")
        #expect(broken(Array(lines[2...])) == "whole from 3 to 5")
        #expect(broken([lines[0], changed(lines[1], "w2", "w9"), lines[2]]).hasPrefix("Entry 2 was changed"))
        #expect(broken([lines[0], changed(lines[1], "}", " }"), lines[2]]).hasPrefix("Entry 2 was changed"))
        #expect(broken([lines[0], lines[2]]).hasPrefix("Entry 3 follows entry 1"))
        #expect(broken([lines[0], lines[2], lines[1]]).hasPrefix("Entry 3 follows entry 1"))
        #expect(broken([lines[0], lines[1], lines[1]]).hasPrefix("Entry 2 follows entry 2"))
        #expect(broken([lines[0], Array("{}".utf8)]).hasPrefix("What follows entry 1"))
        // An entry with a right hash of its own does not fit the one behind it.
        var forged = AuditChain(behind: lines[0]) ?? AuditChain()
        var other = forged.line(Array("{\"id\":\"2-0\",\"why\":\"forged\"}".utf8))
        other.removeLast()
        #expect(broken([lines[0], other, lines[2]]).hasPrefix("Entry 3 does not follow entry 2"))
    }

    @Test func `has every event once, over restarts and what happened meanwhile`() async throws {
        try await withRedis { redis in
            let path = "\(redis.directory)/audit.jsonl"
            try await Self.happen(redis, 3)
            let first = try await Self.start(redis)
            try await Self.happen(redis, 4)
            try await eventually("the events are in the file", is: 7) { Self.ids(path).count }
            await Self.stop(first, redis)
            // More than one page while nobody listens, and a last line that was torn.
            try await Self.happen(redis, 520)
            try Files.append(Array("{\"n\":9,\"prev".utf8), to: path)
            let second = try await Self.start(redis)
            try await eventually("what was missed is in the file", is: 527) { Self.ids(path).count }
            try await Self.happen(redis, 2)
            try await eventually("it goes on", is: 529) { Self.ids(path).count }
            await Self.stop(second, redis)
            let ids = Self.ids(path).map { RedisStreamID($0) }
            #expect(zip(ids, ids.dropFirst()).allSatisfy { $0 < $1 })
            #expect(try Self.words(path) == ["begun"] + Array(repeating: "released", count: 529))
            let entry = try #require(AuditLine(Self.lines(path)[1])?.entry)
            #expect(entry["by"]?.string == "a\"\n" && entry["why"]?.string == "test")
        }
    }

    @Test func `marks that Redis lost its memory, and that the stream was trimmed`() async throws {
        try await withRedis { redis in
            let path = "\(redis.directory)/audit.jsonl"
            let first = try await Self.start(redis)
            try await Self.happen(redis, 2)
            try await eventually("the events are in the file", is: 2) { Self.ids(path).count }
            _ = try await redis.client.command(["FLUSHALL"])
            // Perhaps within the millisecond, and so the id, of the first.
            try await Self.happen(redis, 1, from: 2)
            try await eventually("it goes on behind the flush", is: 3) { Self.ids(path).count }
            // The heartbeat that notices it may come behind the first event of the new memory.
            try await eventually("it is marked") { try Self.words(path).contains("redis-forgot") }
            try await eventually("the file follows again") { await first.auditState == .following }
            #expect(try Self.words(path).count == 5)
            await Self.stop(first, redis)
            try await Self.happen(redis, 3)
            _ = try await redis.client.command(["XTRIM", "lh:{default}:events", "MAXLEN", "1"])
            let second = try await Self.start(redis)
            try await eventually("what is left is in the file", is: 4) { Self.ids(path).count }
            let words = try Self.words(path)
            #expect(words.suffix(2) == ["missed", "released"], "\(words)")
            await Self.stop(second, redis)
        }
    }

    @Test func `marks that Redis went back to an older copy, and keeps what that has lost`() async throws {
        try await withRedis { redis in
            let path = "\(redis.directory)/audit.jsonl"
            let coordinator = try await Self.start(redis)
            try await Self.happen(redis, 2)
            try await eventually("the events are in the file", is: 2) { Self.ids(path).count }
            _ = try await redis.client.command(["SAVE"])
            try await Self.happen(redis, 2, from: 2)
            try await eventually("the later ones too", is: 4) { Self.ids(path).count }
            // A crash, and a start from the copy.
            await redis.kill()
            try await redis.restart()
            try await redis.waitUntilConnected()
            try await eventually("it is marked") { try Self.words(path).contains("went-back") }
            try await Self.happen(redis, 1, from: 4)
            try await eventually("the file follows again") { await coordinator.auditState == .following }
            try await eventually("what follows is in the file") {
                Self.lines(path).contains { AuditLine($0)?.entry["number"]?.string == "4" }
            }
            await Self.stop(coordinator, redis)
            let words = try Self.words(path)
            #expect(words.filter { $0 == "went-back" }.count == 1, "\(words)")
            #expect(
                words.prefix(6) == ["begun", "released", "released", "released", "released", "went-back"], "\(words)")
            let numbers = Self.lines(path).compactMap { AuditLine($0)?.entry["number"]?.string }
            #expect(Set(numbers) == ["0", "1", "2", "3", "4"], "\(numbers)")
            let marker = try #require(AuditLine(Self.lines(path)[5])?.entry)
            #expect(marker["after"]?.string == Self.ids(path)[3])
        }
    }

    @Test func `goes on in a new file when the old one is moved away`() async throws {
        try await withRedis { redis in
            let path = "\(redis.directory)/audit.jsonl"
            let first = try await Self.start(redis)
            try await Self.happen(redis, 2)
            try await eventually("the events are in the file", is: 2) { Self.ids(path).count }
            try Files.move(path, to: path + ".1")
            await first.lookAtFiles()
            await Self.stop(first, redis)
            try await Self.happen(redis, 1)
            let second = try await Self.start(redis)
            try await eventually("the new file has the next event", is: 1) { Self.ids(path).count }
            await Self.stop(second, redis)
            var check = AuditCheck()
            for line in Self.lines(path + ".1") + Self.lines(path) { _ = try check.take(line) }
            #expect(check.first == 1 && check.last == 5)
            #expect(try Self.words(path) == ["continued", "released"])
        }
    }

    @Test func `is one coordinator's, and one that was changed at its end is not written on`() throws {
        let directory = "/tmp/lh-\(SecureRandom.randomHex(bytes: 6))"
        try Files.makeDirectory(directory)
        defer { try? Files.removeTree(directory) }
        let path = "\(directory)/audit.jsonl"
        var trail: AuditTrail? = try AuditTrail(path: path)
        try trail?.mark(.begun, epoch: "e", time: "2026-11-24T00:00:00.000Z")
        let error = #expect(throws: AuditError.self) { _ = try AuditTrail(path: path) }
        #expect(error?.why.contains("another coordinator") == true)
        trail = nil
        let text = String(decoding: try Files.read(path), as: UTF8.self)
        try Files.replace(path, with: Array(text.replacing("begun", with: "began").utf8))
        let changed = #expect(throws: AuditError.self) { _ = try AuditTrail(path: path) }
        #expect(changed?.why.contains("changed") == true)
        try Files.replace(path, with: Array(text.utf8))
        #expect(try AuditTrail(path: path).epoch == "e")
    }

    @Test func `is one for each pool that a coordinator serves`() async throws {
        try await withRedis { redis in
            var settings = CoordinatorSettings(redis: redis.endpoint, version: "test")
            settings.listen = [.unix(path: "\(redis.directory)/l.sock")]
            settings.otherPools = [try PoolID("lab")]
            settings.auditPath = "\(redis.directory)/audit.jsonl"
            let coordinator = Coordinator(settings: settings, loop: redis.loop, log: .silent)
            try await coordinator.start()
            try await Self.happen(redis, 1)
            try await eventually("both are begun", is: [["begun", "released"], ["begun"]]) {
                try ["audit.jsonl", "audit.jsonl.lab"].map { try Self.words("\(redis.directory)/\($0)") }
            }
            await Self.stop(coordinator, redis)
        }
    }
}

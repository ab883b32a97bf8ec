import EventLoop
import RedisClient
import TestSupport
import Testing

@Suite struct PrivateServerTests {
    @Test(arguments: [PrivateServer.Durability.always, .everySecond])
    func `what was stored is there again after an orderly stop`(durability: PrivateServer.Durability) async throws {
        try await withRedis(durability: durability) { redis in
            _ = try await redis.client.command(["SET", "a", "1"])
            try await redis.restart()
            try await redis.waitUntilConnected()
            #expect(try await redis.client.command(["GET", "a"]).text == "1")
        }
    }

    @Test func `what was answered survives a crash where durability is always`() async throws {
        try await withRedis(durability: .always) { redis in
            for number in 0..<50 { _ = try await redis.client.command(["SET", "n", .integer(Int64(number))]) }
            await redis.kill()
            try await redis.restart()
            try await redis.waitUntilConnected()
            #expect(try await redis.client.command(["GET", "n"]).integer == 49)
        }
    }

    @Test func `a second server in the same directory is refused and the first unharmed`() async throws {
        try await withRedis { redis in
            let error = await #expect(throws: RedisError.self) {
                try await PrivateServer.start(
                    loop: redis.loop, directory: redis.directory, durability: .none, log: .silent)
            }
            #expect(error?.kind == .refusedServer)
            let answer = try await redis.client.command(["PING"])
            #expect(answer == .status("PONG"))
        }
    }

    @Test func `its end is told, unless it was asked for`() async throws {
        try await withDirectory { loop, directory in
            let exits = Log<ChildExit>()
            let server = try await PrivateServer.start(
                loop: loop, directory: directory, durability: .none, log: .silent)
            try await loop.run { server.onExit = { exits.add($0) } }
            server.signal(.kill)
            try await eventually("the crash is told", is: [.signalled(9)]) { exits.all }

            await server.stop()
            let second = try await PrivateServer.start(
                loop: loop, directory: directory, durability: .none, log: .silent)
            try await loop.run { second.onExit = { exits.add($0) } }
            await second.stop()
            #expect(await second.finish() == .exited(0))
            #expect(exits.all.count == 1)
        }
    }

    @Test func `it dies with the thread that started it`() async throws {
        try await withDirectory { _, directory in
            let parent = try EventLoop.onOwnThread()
            let server = try await PrivateServer.start(
                loop: parent, directory: directory, durability: .none, log: .silent)
            parent.stopAndJoin()
            try await eventually("the server is gone") { ProcessGroup.startTicks(ofProcess: server.processID) == nil }
        }
    }

    @Test func `a server left behind is ended before another begins`() async throws {
        try await withDirectory { loop, directory in
            let left = try await loop.run {
                var command = ChildCommand(["sleep", "600"])
                command.diesWithParent = .kill
                return try ChildProcess.start(command, on: loop).processID
            }
            let ticks = try #require(ProcessGroup.startTicks(ofProcess: left))
            let boot = try Environment.bootID()
            try Files.replace("\(directory)/redis.process", with: Array("\(left) \(ticks) \(boot)\n".utf8))
            let server = try await PrivateServer.start(
                loop: loop, directory: directory, durability: .none, log: .silent)
            #expect(ProcessGroup.startTicks(ofProcess: left) == nil)
            await server.stop()
        }
    }

    @Test func `a later process of the same number is left alone`() async throws {
        try await withDirectory { loop, directory in
            let boot = try Environment.bootID()
            let own = Environment.processID
            let ticks = try #require(ProcessGroup.startTicks(ofProcess: own))
            try Files.replace("\(directory)/redis.process", with: Array("\(own) \(ticks + 1) \(boot)\n".utf8))
            let server = try await PrivateServer.start(
                loop: loop, directory: directory, durability: .none, log: .silent)
            await server.stop()
        }
    }

    @Test func `a directory too long for a socket is refused with what to do`() async throws {
        try await withLoop { loop in
            let error = await #expect(throws: RedisError.self) {
                try await PrivateServer.start(
                    loop: loop, directory: "/tmp/" + String(repeating: "x", count: 100), durability: .none,
                    log: .silent)
            }
            #expect(error?.message.contains("choose a shorter one") == true)
        }
    }

    private func withDirectory(
        _ body: @Sendable (EventLoop, String) async throws -> Void
    ) async throws {
        let directory = "/tmp/lh-\(SecureRandom.randomHex(bytes: 6))"
        try Files.makeDirectory(directory)
        defer { try? Files.removeTree(directory) }
        try await withLoop { loop in try await body(loop, directory) }
    }
}

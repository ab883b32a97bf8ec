import EventLoop
import GPULease
import Glibc
import HTTP
import LeaseModel
import Synchronization
import TestSupport
import Testing

@Suite(.serialized) struct `A wait for a lease` {
    @Test func `tells its place in the queue`() async throws {
        try await withHouse { house in
            let gpu = try house.pool()
            let first = try await gpu.acquire(for: "a")
            let second = Task { try await gpu.withLease(for: "b") { _ in } }
            try await eventually("b waits", is: ["b"]) { try await house.waiting() }
            let told = Mutex<[WaitProgress]>([])
            let third = Task {
                try await gpu.withLease(for: "c", onWait: { progress in told.withLock { $0.append(progress) } }) {
                    lease in lease.waited
                }
            }
            try await eventually("c is told where it stands") {
                told.withLock { $0.contains { $0.position == 2 && $0.ahead == ["b"] && $0.state == .queued } }
            }
            await first.release()
            try await second.value
            #expect(try await third.value > .zero)
            #expect(told.withLock { $0.allSatisfy { $0.queueDepth != 0 } })
        }
    }

    @Test func `ends in time, and says where it stood`() async throws {
        try await withHouse { house in
            let gpu = try house.pool()
            try await gpu.withLease(for: "a") { _ in
                for timeout in [Duration.zero, .milliseconds(300)] {
                    let kind = await failure { _ = try await gpu.acquire(for: "b", options: .init(timeout: timeout)) }
                    #expect(kind == .timedOut(position: 1))
                }
            }
            let lease = try await gpu.acquire(for: "b", options: .init(timeout: .zero))
            #expect(await lease.release())
        }
    }

    @Test func `frees its place when its task is cancelled`() async throws {
        try await withHouse { house in
            let gpu = try house.pool()
            let first = try await gpu.acquire(for: "a")
            let second = Task { await failure { try await gpu.withLease(for: "b") { _ in } } }
            try await eventually("b waits", is: ["b"]) { try await house.waiting() }
            let third = Task { try await gpu.withLease(for: "c") { lease in lease.holder } }
            try await eventually("c waits too", is: ["b", "c"]) { try await house.waiting() }
            second.cancel()
            #expect(await second.value == .cancelled)
            try await eventually("b is gone before its coordinator would give up on it", within: .seconds(4), is: ["c"])
            { try await house.waiting() }
            await first.release()
            #expect(try await third.value == "c")
        }
    }

    @Test func `gives back what is granted to a cancelled task`() async throws {
        try await withHouse { house in
            let gpu = try house.pool()
            for _ in 0..<10 {
                let task = Task { await failure { _ = try await gpu.withLease(for: "b") { _ in } } }
                task.cancel()
                let kind = await task.value
                #expect(kind == .cancelled || kind == nil)
            }
            try await eventually("nothing is held", is: []) { try await house.holders() }
            try await eventually("nobody waits", is: []) { try await house.waiting() }
        }
    }

    @Test func `is refused by a force-release`() async throws {
        try await withHouse { house in
            let gpu = try house.pool()
            let first = try await gpu.acquire(for: "a")
            let second = Task { await failure { try await gpu.withLease(for: "b") { _ in } } }
            try await eventually("b waits", is: ["b"]) { try await house.waiting() }
            try await house.revoke(.forceReleaseAll)
            #expect(await second.value == .refused(by: "admin", why: "tests"))
            let loss = await first.lost
            #expect(loss?.reason == .forceReleased)
        }
    }

    @Test func `goes on when its coordinator stops and another takes its address`() async throws {
        try await withHouse { house in
            let gpu = try house.pool()
            let first = try await gpu.acquire(for: "a")
            let told = Mutex<[WaitProgress.State]>([])
            let second = Task {
                try await gpu.withLease(for: "b", onWait: { progress in told.withLock { $0.append(progress.state) } }) {
                    lease in lease.holder
                }
            }
            try await eventually("b waits", is: ["b"]) { try await house.waiting() }
            await house.closeCoordinator()
            try await eventually("b is told that nobody answers") {
                told.withLock { $0.contains { if case .unreachable = $0 { true } else { false } } }
            }
            try await house.openCoordinator("c1")
            try await eventually("b waits again", is: ["b"]) { try await house.waiting() }
            await first.release()
            #expect(try await second.value == "b")
        }
    }

    @Test func `keeps its place at another coordinator when its own one dies`() async throws {
        try await withHouse { house in
            let program = try await house.startProgram("c2")
            let first = try await house.pool("c1").acquire(for: "a")
            let both = try house.pool("c2", "c1")
            let order = Notes()
            var waiters: [Task<Void, any Error>] = []
            for name in ["b", "c", "d"] {
                waiters.append(
                    Task { try await both.withLease(for: name) { _ in order.add(name) } })
                try await eventually("\(name) waits") { try await house.waiting().contains(name) }
            }
            let scores = try await house.scores()
            let killed = try await house.waitingCoordinators()
            #expect(killed.count == 1)
            try await house.redis.loop.run { program.signal(.kill) }
            _ = await program.finish()
            try await eventually("they wait at the other one") {
                let now = try await house.waitingCoordinators()
                return now.count == 1 && now != killed
            }
            #expect(try await house.scores() == scores)
            await first.release()
            for waiter in waiters { try await waiter.value }
            #expect(order.all == ["b", "c", "d"])
        }
    }

    @Test func `moves to another coordinator when its own one hangs, and so does its renewal`() async throws {
        try await withHouse { house in
            let program = try await house.startProgram("c2")
            let gpu = try house.pool("c2", "c1")
            let first = try await gpu.acquire(for: "a", options: .init(ttl: .seconds(9)))
            let told = Notes()
            let second = Task {
                try await house.pool("c2", "c1").withLease(for: "b", onWait: { _ in told.add("looked") }) { lease in
                    lease.holder
                }
            }
            try await eventually("b has looked where it stands") { !told.all.isEmpty }
            let hanging = try await house.waitingCoordinators()
            kill(program.processID, SIGSTOP)
            let before = first.deadline
            try await eventually("a renewal went to the other one", within: .seconds(20)) { first.deadline > before }
            try await eventually("b waits at the other one", within: .seconds(20)) {
                let now = try await house.waitingCoordinators()
                return now.count == 1 && now != hanging
            }
            await first.release()
            #expect(try await second.value == "b")
            try await house.redis.loop.run { program.signal(.kill) }
            _ = await program.finish()
        }
    }

    @Test func `asks the next coordinator where one is not there or has trouble of its own`() async throws {
        try await withHouse { house in
            let urls = try await house.openCoordinator("c2").urls
            let tcp = try #require(urls.first { $0.hasPrefix("http://127.0.0.1:") })
            // A server that is a coordinator no more, or not yet.
            let server = try await house.redis.loop.run {
                let server = HTTPServer(loop: house.redis.loop, log: .silent) { _, exchange in
                    exchange.respond(HTTPResponse(status: 502))
                }
                try server.listen(unixPath: "\(house.redis.directory)/proxy.sock")
                return server
            }
            let gpu = try GPUPool(urls: [house.url("nobody"), house.url("proxy"), tcp], token: "")
            for _ in 0..<2 { try await gpu.withLease(for: "a") { lease in #expect(lease.isHeld) } }
            #expect(try await gpu.status().pool == "default")
            await house.redis.loop.spawn { await server.shutDown(grace: .zero) }.value
        }
    }

    @Test func `says what is wrong`() async throws {
        try await withHouse { house in
            let gpu = try house.pool()
            let long = await failure { _ = try await gpu.acquire(for: "a", options: .init(ttl: .seconds(601))) }
            #expect(long == .invalid)
            let nobody = await failure { _ = try await gpu.acquire(for: "") }
            #expect(nobody == .invalid)
            let error = await #expect(throws: LeaseError.self) {
                _ = try await gpu.acquire(for: "a", options: .init(pool: "other"))
            }
            #expect(error?.message.contains("this coordinator serves no other pool") == true)
            let address = await failure { _ = try GPUPool(urls: ["ftp://x"]) }
            #expect(address == .invalid)
            let none = await failure { _ = try GPUPool(urls: []) }
            #expect(none == .invalid)
        }
    }

    @Test func `shows its token, and says where that does not do`() async throws {
        try await withHouse { house in
            let url = house.url("c2")
            try await house.openCoordinator("c2", tokens: ["client": "open-sesame", "viewer": "let-me-see"])
            let outcomes: [(String, LeaseError.Kind?)] = [
                ("open-sesame", nil), ("let-me-see", .forbidden), ("a-guess", .unauthorized), ("", .unauthorized),
            ]
            for (token, kind) in outcomes {
                let gpu = try GPUPool(urls: [url], token: token)
                #expect(await failure { try await gpu.withLease(for: "a") { _ in } } == kind)
            }
            let stranger = try GPUPool(urls: [url], token: "a-guess")
            #expect(await failure { for try await _ in stranger.events() {} } == .unauthorized)
        }
    }

    @Test func `gives up on coordinators that are not there`() async throws {
        let gpu = try GPUPool(urls: ["unix:///tmp/lh-none-1.sock", "unix:///tmp/lh-none-2.sock"], token: "")
        for timeout in [Duration.zero, .milliseconds(200), .seconds(60)] {
            let options = LeaseOptions(timeout: timeout, reconnecting: .milliseconds(300))
            let kind = await failure { _ = try await gpu.acquire(for: "a", options: options) }
            #expect(kind == .unreachable)
        }
        #expect(await failure { _ = try await gpu.status() } == .unreachable)
    }

    @Test func `takes up the lease of its request, and the place of its earlier run`() async throws {
        try await withHouse { house in
            let gpu = try house.pool()
            let options = LeaseOptions(requestID: "r1")
            let first = try await gpu.acquire(for: "a", options: options)
            let again = try await house.pool().acquire(for: "a", options: options)
            #expect(again.id == first.id && again.token != first.token && again.requestID == "r1")
            let taken = try await gpu.acquire(for: "a", options: .init(takesOver: true))
            #expect(taken.fencingToken > again.fencingToken)
            let loss = await again.lost
            #expect(loss?.reason == .released || loss?.reason == .lost)
            await taken.release()
        }
    }
}

extension House {
    /// A coordinator in a process of its own, for those who mean to kill it.
    func startProgram(_ name: String) async throws -> ChildProcess {
        let folder = Files.directory(of: Environment.executablePath ?? "")
        let arguments = [
            "\(folder)/leasehold-coordinator", "--redis", redis.endpoint.description, "--listen", url(name),
        ]
        let program = try await redis.loop.run {
            var command = ChildCommand(arguments)
            command.diesWithParent = .kill
            return try ChildProcess.start(command, deadline: .seconds(60), on: self.redis.loop)
        }
        let gpu = try pool(name)
        try await eventually("\(name) serves") { (try? await gpu.status())?.units.isEmpty == false }
        return program
    }

    /// The holders that wait, with what orders them.
    func scores() async throws -> [String: Int64] {
        Dictionary(try await store.snapshot().waiters.map { ($0.holder.text, $0.score) }) { $1 }
    }

    /// The coordinators at which somebody waits.
    func waitingCoordinators() async throws -> Set<String> {
        Set(try await store.snapshot().waiters.map(\.coordinator.text))
    }
}

import EventLoop
import LeaseModel
import LeaseStore
import Synchronization
import TestSupport
import Testing

@testable import Agent

@Suite struct `An agent with a real Redis` {
    @Test func `grants what is asked for, and the next waiter gets what is released`() async throws {
        try await withScene { scene in
            let agent = try await scene.start()
            let lease = try await scene.grant("t1")
            try await eventually("the agent has its answer", is: "held \(lease)") { await scene.state(at: agent) }
            try await scene.message("the grant is told") { message in
                guard case .granted(let grant) = message else { return false }
                return grant.lease == lease && grant.ticket.text == "t1"
            }
            try await scene.ask("t2")
            #expect(try await scene.store.release(lease, token: TokenHash("hash-t1"), by: "") == .released(1))
            let next = try await scene.held("t2")
            #expect(next.fencing > lease.fencing)
            #expect(await agent.verify(lease.unit, lease.fencing) == .stale)
            #expect(await agent.verify(lease.unit, next.fencing) == .current)
        }
    }

    @Test func `ends a lease by its own clock, and the next waiter gets the unit`() async throws {
        try await withScene { scene in
            let agent = try await scene.start()
            let lease = try await scene.grant("t1", ttl: .milliseconds(300))
            try await scene.ask("t2")
            let next = try await scene.held("t2")
            #expect(next.fencing > lease.fencing)
            try await eventually("the agent has its answer", is: "held \(next)") { await scene.state(at: agent) }
        }
    }

    @Test func `ends a lease by its own clock without Redis, and tells it when that is back`() async throws {
        try await withScene { scene in
            let agent = try await scene.start()
            _ = try await scene.grant("t1", ttl: .milliseconds(300))
            scene.redis.pause()
            try await eventually("the unit is free", is: "free") { await scene.state(at: agent) }
            scene.redis.resume()
            try await scene.redis.waitUntilConnected()
            try await scene.waitUntilGone("t1")
        }
    }

    @Test func `moves the deadline of a lease that is renewed, and refuses with another token`() async throws {
        try await withScene { scene in
            let agent = try await scene.start()
            let lease = try await scene.grant("t1", ttl: .seconds(60))
            let coordinator = InstanceID("c1")
            _ = try await scene.store.answerAgain(
                AnswerAgain(TicketID("t1"), coordinator: coordinator, newToken: TokenHash("new"), nonce: "n1"))
            try await scene.message("the renewal is told") { $0 == .renewed(lease, nonce: "n1", ttl: .seconds(60)) }
            #expect(
                try await scene.store.renew(
                    lease, token: TokenHash("hash-t1"), nonce: "n2", coordinator: coordinator) == .wrongToken)
            _ = try await scene.store.renew(lease, token: TokenHash("new"), nonce: "n3", coordinator: coordinator)
            try await scene.message("the renewal is told") { $0 == .renewed(lease, nonce: "n3", ttl: .seconds(60)) }
            guard case .held(let held)? = await agent.reports.first?.state else {
                Issue.record("the lease is gone")
                return
            }
            #expect(held.token == TokenHash("new"))
            #expect(held.remaining > .seconds(50))
        }
    }

    @Test func `knows its leases after a restart, with their deadlines`() async throws {
        try await withScene { scene in
            let agent = try await scene.start()
            let lease = try await scene.grant("t1", ttl: .seconds(600))
            try await eventually("the agent has its answer", is: "held \(lease)") { await scene.state(at: agent) }
            guard case .held(let before)? = await agent.reports.first?.state else { return }
            await agent.stop()
            var settings = try scene.settings()
            settings.isFirstJoin = false
            let again = try await scene.start(settings)
            try await eventually("the agent has its answer", is: "held \(lease)") { await scene.state(at: again) }
            guard case .held(let held)? = await again.reports.first?.state else { return }
            #expect(held.remaining < before.remaining)
            try await scene.ask("t2")
            #expect(try await scene.store.release(lease, token: TokenHash("hash-t1"), by: "") == .released(1))
            #expect(try await scene.held("t2").fencing > lease.fencing)
        }
    }

    @Test func `is succeeded by the next start from its journal, and confirms nothing more`() async throws {
        try await withScene { scene in
            let first = try await scene.start()
            let lease = try await scene.grant("t1")
            // As after a crash: the journal is there, and the instance that it names is still present.
            let copy = try scene.settings(state: "copy")
            let original = try scene.settings().stateDirectory
            try Files.makeDirectory(copy.stateDirectory)
            try Files.replace(
                copy.stateDirectory + "/journal.json", with: try Files.read(original + "/journal.json"))
            let second = try await scene.start(copy)
            try await eventually("the agent has its answer", is: "held \(lease)") { await scene.state(at: second) }
            #expect(try await scene.store.release(lease, token: TokenHash("hash-t1"), by: "") == .released(1))
            #expect(try await scene.grant("t2").fencing > lease.fencing)
            #expect(try await scene.fate(of: first) == .succeeded("h1"))
            #expect(await first.verify(lease.unit, lease.fencing) == .stale)
        }
    }

    @Test func `is refused where its host id is live under another agent`() async throws {
        try await withScene { scene in
            let first = try await scene.start()
            let second = try scene.agent(scene.settings(state: "other"))
            try await second.start()
            #expect(try await scene.fate(of: second) == .hostInUse("h1", instance: first.instance.text))
            let lease = try await scene.grant("t1")
            try await eventually("the agent has its answer", is: "held \(lease)") { await scene.state(at: first) }
        }
    }

    @Test func `has its state directory for itself`() async throws {
        try await withScene { scene in
            let settings = try scene.settings()
            try await scene.start(settings)
            let second = try scene.agent(settings)
            await #expect(
                throws: AgentError.stateDirectoryBusy(settings.stateDirectory, process: "\(Environment.processID)")
            ) { try await second.start() }
        }
    }

    @Test func `restores its leases to a Redis that has forgotten everything`() async throws {
        try await withScene { scene in
            let agent = try await scene.start(units: ["h1/0", "h1/1"])
            let lease = try await scene.grant("t1")
            await scene.redis.kill()
            try await scene.redis.restart()
            try await scene.redis.waitUntilConnected()
            try await scene.store.settle()
            #expect(try await scene.held("t1") == lease)
            let other = try await scene.grant("t2")
            #expect(other.unit != lease.unit)
            #expect(await scene.state(lease.unit.text, at: agent) == "held \(lease)")
        }
    }

    @Test func `heals a flush by its heartbeats, and its fencing tokens go on rising`() async throws {
        try await withScene { scene in
            try await scene.start()
            let lease = try await scene.grant("t1")
            try await scene.redis.flushAll()
            try await scene.store.settle()
            #expect(try await scene.held("t1") == lease)
            #expect(try await scene.store.release(lease, token: TokenHash("hash-t1"), by: "") == .released(1))
            #expect(try await scene.grant("t2").fencing > lease.fencing)
        }
    }

    @Test func `rests where its journal is lost, and says so`() async throws {
        try await withScene { scene in
            var settings = try scene.settings()
            settings.isFirstJoin = false
            settings.longestTTL = .milliseconds(500)
            let agent = try await scene.start(settings)
            try await scene.ask("t1")
            let lease = try await scene.held("t1")
            #expect(lease.fencing.value > 1_600_000_000_000_000)
            try await eventually("the agent has its answer", is: "held \(lease)") { await scene.state(at: agent) }
        }
    }

    @Test func `confirms nothing that its journal does not take`() async throws {
        try await withScene { scene in
            let settings = try scene.settings()
            let agent = try await scene.start(settings)
            let obstacle = settings.stateDirectory + "/journal.json.new"
            try Files.makeDirectory(obstacle)
            try await scene.ask("t1")
            try await eventually("the unit rests", is: "resting") { await scene.state(at: agent) }
            #expect(try await scene.record(of: "t1")?.state != .held)
            try Files.removeTree(obstacle)
            _ = try await scene.held("t1")
        }
    }

    @Test func `registers devices that come and go`() async throws {
        try await withScene { scene in
            let units = Mutex<[UnitProperties]?>([])
            var settings = try scene.settings()
            settings.probeInterval = .milliseconds(20)
            let agent = scene.agent(settings) { units.withLock { $0 } }
            try await agent.start()
            try await scene.ask("t1")
            units.withLock { $0 = [unit("h1/0"), unit("h1/1")].compactMap { $0 } }
            let lease = try await scene.held("t1")
            units.withLock { $0 = nil }
            #expect(await agent.devices.count == 3)
            units.withLock { $0 = [] }
            try await eventually("the free unit is gone", is: 2) { await agent.devices.count }
            #expect(await scene.state(lease.unit.text, at: agent) == "held \(lease)")
            _ = try await scene.store.release(lease, token: TokenHash("hash-t1"), by: "")
            try await eventually("the other is gone too", is: ["h1/model-load"]) {
                try await scene.store.snapshot().units.map(\.properties.unit.text)
            }
        }
    }

    @Test func `says goodbye when it stops: its leases stand and nobody is offered its units`() async throws {
        try await withScene { scene in
            let agent = try await scene.start(units: ["h1/0", "h1/1"])
            let lease = try await scene.grant("t1")
            await agent.stop()
            let snapshot = try await scene.store.snapshot()
            #expect(snapshot.hosts.map(\.isPresent) == [false])
            #expect(snapshot.units.filter { $0.lease == nil }.map(\.state) == [.unheard, .unheard])
            #expect(snapshot.leases.map(\.lease) == [lease])
        }
    }
}

@Suite struct `What runs under a lease` {
    @Test func `is ended with it by an admin, and only then is the unit offered again`() async throws {
        try await withScene { scene in
            let agent = try await scene.start()
            let lease = try await scene.grant("t1")
            let child = try await scene.process("sleep 60", for: lease)
            #expect(await agent.processStarted(child.processID, under: lease, token: TokenHash("hash-t1")))
            try await scene.ask("t2")
            let outcome = try await scene.store.revoke(.all, mode: .reset, by: "ann", why: "test")
            #expect(outcome.ending == [lease])
            #expect(await child.finish().exit == .signalled(15))
            #expect(try await scene.held("t2").fencing > lease.fencing)
        }
    }

    @Test func `is killed where it does not end when asked`() async throws {
        try await withScene { scene in
            let agent = try await scene.start()
            let lease = try await scene.grant("t1")
            let ready = "\(scene.redis.directory)/ready"
            let child = try await scene.process(
                "trap '' TERM; touch \(ready); while :; do sleep 0.05; done", for: lease)
            try await eventually("the child listens to nobody") { Files.exists(ready) }
            #expect(await agent.processStarted(child.processID, under: lease, token: TokenHash("hash-t1")))
            _ = try await scene.store.revoke(.lease(lease), mode: .revoke, by: "ann", why: "test")
            #expect(await child.finish().exit == .signalled(9))
            try await scene.waitUntilGone("t1")
        }
    }

    @Test func `is ended when nobody renews, and gone before the unit is granted again`() async throws {
        try await withScene { scene in
            let agent = try await scene.start()
            let ready = "\(scene.redis.directory)/ready"
            let lease = try await scene.grant("t1", ttl: .seconds(3))
            let child = try await scene.process(
                "trap '' TERM; touch \(ready); while :; do sleep 0.05; done", for: lease)
            #expect(await agent.processStarted(child.processID, under: lease, token: TokenHash("hash-t1")))
            try await eventually("the child listens to nobody") { Files.exists(ready) }
            try await scene.ask("t2")
            #expect(try await scene.held("t2").fencing > lease.fencing)
            #expect(
                try await scene.redis.loop.run { !child.isRunning }, "its SIGKILL comes 0.2 s after the lease's end")
            #expect(await child.finish().exit == .signalled(9))
        }
    }

    @Test func `frees the unit at once when it dies`() async throws {
        try await withScene { scene in
            let agent = try await scene.start()
            let lease = try await scene.grant("t1", ttl: .seconds(600))
            let child = try await scene.process("sleep 60", for: lease)
            #expect(await agent.processStarted(child.processID, under: lease, token: TokenHash("hash-t1")))
            try await scene.redis.loop.run { child.signal(.kill) }
            try await scene.waitUntilGone("t1")
            #expect(await scene.state(at: agent) == "free")
        }
    }

    @Test func `is known only where it was started for that lease, by who has its token`() async throws {
        try await withScene { scene in
            let agent = try await scene.start()
            let lease = try await scene.grant("t1")
            let other = LeaseID(unit: lease.unit, fencing: FencingToken(7))
            let child = try await scene.process("sleep 60", for: lease)
            let stranger = try await scene.process("sleep 60", for: other)
            #expect(!(await agent.processStarted(child.processID, under: lease, token: TokenHash("hash-other"))))
            #expect(!(await agent.processStarted(stranger.processID, under: lease, token: TokenHash("hash-t1"))))
            #expect(!(await agent.processStarted(Environment.processID, under: lease, token: TokenHash("hash-t1"))))
            try await scene.redis.loop.run {
                child.signal(.kill)
                stranger.signal(.kill)
            }
            _ = await child.finish()
            _ = await stranger.finish()
        }
    }

    @Test func `may have run before: then it alone is meant, where it leads no group`() async throws {
        try await withScene { scene in
            let agent = try await scene.start(units: ["h1/0", "h1/1"])
            let lease = try await scene.grant("t1")
            let other = try await scene.grant("t2")
            let child = try await scene.redis.loop.run {
                var command = ChildCommand(["/bin/sleep", "60"])
                command.group = .parents
                return try ChildProcess.start(command, deadline: .seconds(60), on: scene.redis.loop)
            }
            let token = TokenHash("hash-t1")
            let process = child.processID
            for (number, hash) in [
                (process, TokenHash("x")), (1, token), (Environment.processID, token), (1 << 30, token),
            ] {
                #expect(!(await agent.processAdopted(number, under: lease, token: hash, keeper: nil)), "\(number)")
            }
            #expect(await agent.processAdopted(process, under: lease, token: token, keeper: nil))
            #expect(
                !(await agent.processAdopted(process, under: other, token: TokenHash("hash-t2"), keeper: nil)),
                "it is under another lease")
            _ = try await scene.store.revoke(.lease(lease), mode: .revoke, by: "ann", why: "test")
            #expect(await child.finish().exit == .signalled(15), "and this process, whose group it is in, lives")
            try await scene.waitUntilGone("t1")
        }
    }

    @Test func `ends with an agent that was succeeded`() async throws {
        try await withScene { scene in
            let first = try await scene.start()
            let lease = try await scene.grant("t1")
            let child = try await scene.process("sleep 60", for: lease)
            #expect(await first.processStarted(child.processID, under: lease, token: TokenHash("hash-t1")))
            let copy = try scene.settings(state: "copy")
            try Files.makeDirectory(copy.stateDirectory)
            try Files.replace(
                copy.stateDirectory + "/journal.json",
                with: try Files.read(try scene.settings().stateDirectory + "/journal.json"))
            try await scene.start(copy)
            #expect(try await scene.fate(of: first) == .succeeded("h1"))
            #expect(await child.finish().exit == .signalled(15))
        }
    }
}

private func unit(_ name: String) -> UnitProperties? {
    (try? UnitID(name)).map {
        UnitProperties(unit: $0, kind: .gpu, memoryMB: 24_000, deviceType: "discrete", details: "{}")
    }
}

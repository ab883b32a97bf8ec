import EventLoop
import Glibc
import TestSupport
import Testing

@testable import HTTP

/// Who has to go where there is no place left, and who may come.
@Suite struct `A crowded server` {
    private static func network(_ text: String) -> PeerNetwork? {
        SocketAddress(numeric: text, port: 1).flatMap { $0.withPointer { address, _ in PeerNetwork(address) } }
    }

    @Test(arguments: [
        ("10.0.0.1", "10.0.0.1", true), ("10.0.0.1", "10.0.0.2", false), ("2001:db8::1", "2001:db8::ffff:1", true),
        ("2001:db8::1", "2001:db8:0:1::1", false), ("0.0.0.1", "::2", false),
    ])
    func `counts an address, and a whole network of the newer ones, as one`(one: String, other: String, isSame: Bool) {
        #expect(Self.network(one) != nil)
        #expect((Self.network(one) == Self.network(other)) == isSame)
    }

    @Test(arguments: ["127.0.0.1", "127.9.9.9", "::1"]) func `does not count loopback addresses`(address: String) {
        #expect(Self.network(address) == nil)
    }

    @Test func `refuses one address its further connections while others come`() throws {
        let limits = HTTPLimits.with {
            $0.connections = 10
            $0.connectionsPerAddress = 2
            $0.refusedConnections = 1
        }
        var crowding = Crowding(limits)
        let (one, other) = (try #require(Self.network("10.0.0.1")), try #require(Self.network("10.0.0.2")))
        #expect(crowding.lack(for: one, at: .zero) == nil)
        for _ in 1...2 { #expect(crowding.came(from: one, isShuttingDown: false) == .admitted) }
        let lack = Crowding.Lack(of: one, count: 1)
        #expect(crowding.lack(for: one, at: .zero) == lack)
        crowding.lookedInVain(for: lack, at: .zero)
        #expect(crowding.lack(for: one, at: .zero) == nil)
        #expect(crowding.lack(for: one, at: limits.descriptorPause) == lack)
        #expect(crowding.came(from: one, isShuttingDown: false) == .refused(.crowded))
        #expect(crowding.came(from: one, isShuttingDown: false) == .dropped)
        #expect(crowding.came(from: other, isShuttingDown: false) == .admitted)
        for _ in 1...5 { #expect(crowding.came(from: nil, isShuttingDown: false) == .admitted) }
        crowding.left(one, wasAdmitted: false)
        crowding.left(one, wasAdmitted: true)
        #expect(crowding.came(from: one, isShuttingDown: false) == .admitted)
    }

    @Test func `looks at everybody where all places are taken`() {
        let limits = HTTPLimits.with {
            $0.connections = 2
            $0.refusedConnections = 1
        }
        var crowding = Crowding(limits)
        for _ in 1...2 { #expect(crowding.came(from: nil, isShuttingDown: false) == .admitted) }
        #expect(crowding.lack(for: nil, at: .zero) == Crowding.Lack(of: nil, count: 1))
        crowding.lookedInVain(for: Crowding.Lack(of: nil, count: 1), at: .zero)
        #expect(crowding.lack(for: nil, at: .zero) == nil)
        #expect(crowding.came(from: nil, isShuttingDown: false) == .refused(.overloaded))
        #expect(crowding.came(from: nil, isShuttingDown: false) == .dropped)
        crowding.left(nil, wasAdmitted: true)
        #expect(crowding.came(from: nil, isShuttingDown: false) == .admitted)
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `never has more than it takes, whoever comes and goes`(seed: UInt64) {
        var random = RandomSource(seed: seed)
        let limits = HTTPLimits.with {
            $0.connections = 20
            $0.connectionsPerAddress = 6
            $0.refusedConnections = 3
        }
        let networks = [nil] + (1...5).map { Self.network("10.0.0.\($0)") }
        var crowding = Crowding(limits)
        var present: [(network: PeerNetwork?, isAdmitted: Bool)] = []
        for _ in 0..<500 {
            if random.below(3) > 0 || present.isEmpty {
                let network = random.element(networks)
                let verdict = crowding.came(from: network, isShuttingDown: false)
                let isFull =
                    present.count { $0.isAdmitted } >= 20
                    || (network != nil && present.count { $0.isAdmitted && $0.network == network } >= 6)
                #expect((verdict == .admitted) != isFull)
                if verdict != .dropped { present.append((network, verdict == .admitted)) }
            } else {
                let gone = present.remove(at: random.below(present.count))
                crowding.left(gone.network, wasAdmitted: gone.isAdmitted)
            }
            #expect(present.count { !$0.isAdmitted } <= 3)
        }
    }

    @Test func `parts first with who has asked nothing, then with who idles, never with who is owed an answer`() throws
    {
        let limits = HTTPLimits()
        var mute = ConnectionMachine(limits: limits, at: .seconds(50))
        var old = ConnectionMachine(limits: limits, at: .zero)
        var sending = old
        for second in [1, 2] {
            old.requestCame(keepsAlive: true)
            #expect(old.dispensability == nil)
            #expect(old.answered(isSent: second == 1, at: .seconds(second)) == (second == 1 ? .readNext : .wait))
        }
        #expect(old.dispensability == nil, "its answer is not taken yet")
        #expect(old.drained(at: .seconds(3)) == .readNext)
        sending.requestCame(keepsAlive: true)
        #expect(sending.answered(isSent: true, at: .seconds(1)) == .readNext)
        sending.requestBegan(at: .seconds(2))
        let order = [mute, old, sending].compactMap(\.dispensability)
        #expect(order.count == 3 && order == order.sorted())
        #expect(old.dispensability == Dispensability(rank: .idle, since: .seconds(3)))
        #expect(mute.dispensability == Dispensability(rank: .hasAskedNothing, since: .seconds(50)))
        mute.requestBegan(at: .seconds(55))
        #expect(mute.dispensability == Dispensability(rank: .hasAskedNothing, since: .seconds(55)))
        mute.closed()
        #expect(mute.dispensability == nil)
    }

    @Test func `closes the oldest mute connection for the next one, and keeps those that wait and those that ask`()
        async throws
    {
        let limits = HTTPLimits.with { $0.connections = 4 }
        try await withServer(limits) { server in
            let waiting = try server.connect()
            waiting.send("GET /park HTTP/1.1\r\nHost: a\r\n\r\n")
            try await server.expect(["GET /park"])
            let idle = try server.connect()
            idle.send("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")
            try await idle.expect(answer("GET /echo "))
            let dripping = try server.connect()
            dripping.send("GET /echo HT")
            try await eventually("three are there", is: 3) { try await server.counts.openConnections }
            let mute = try server.connect()
            try await eventually("all places are taken", is: 4) { try await server.counts.openConnections }
            var newcomers: [Wire] = []
            for losers in [[], [dripping, mute], [dripping, mute, idle]] {
                newcomers.append(try server.connect())
                newcomers.last?.send("GET /park HTTP/1.1\r\nHost: a\r\n\r\n")
                try await eventually("it waits", is: newcomers.count + 1) { try await server.events.count }
                for loser in losers { try await loser.expectEnd() }
                if losers.count < 3 { #expect(!idle.hasEnded) }
            }
            #expect(try await server.counts.closedForRoom == 3)
            let last = try server.connect()
            try await eventually("nobody can go for it") { last.hasEnded }
            #expect(last.text.contains("too_many_connections"))
            #expect(!waiting.hasEnded && newcomers.allSatisfy { !$0.hasEnded })
            try await server.answerParked("at last")
            try await waiting.expect(answer("at last"))
        }
    }

    @Test func `gives up who has longest not taken what it asked for, once all of them hold too much`() async throws {
        let limits = HTTPLimits.with { $0.unsentBytes = 8 << 20 }
        try await withServer(limits) { server in
            var slow: [Wire] = []
            for number in 1...6 {
                let wire = try server.connect(receiveBuffer: 4096)
                wire.send("GET /large/6000000 HTTP/1.1\r\nHost: a\r\n\r\n")
                try await eventually("it is asked for", is: UInt64(number)) { try await server.counts.requests }
                slow.append(wire)
            }
            try await eventually("the first have gone") { try await server.counts.slowReaders >= 1 }
            #expect(try await server.counts.slowReaders < 6)
            let honest = try server.connect()
            honest.send("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")
            try await honest.expect(answer("GET /echo "))
            #expect(try await server.events.allSatisfy { $0 == "undelivered" || $0 == "delivered" })
        }
    }
}

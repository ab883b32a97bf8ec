import EventLoop
import Glibc
import TestSupport
import Testing

@Suite struct SignalsTests {
    @Test func `a signal is told on the loop and no longer ends the process`() async throws {
        try await withLoop { loop in
            let told = Log<Bool>()
            let signals = try await loop.run {
                try Signals(loop: loop, for: [.user1]) { signal in told.add(signal == .user1 && loop.isCurrent) }
            }
            kill(Environment.processID, SIGUSR1)
            try await eventually("the signal is told", is: [true]) { told.all }
            kill(Environment.processID, SIGUSR1)
            try await eventually("a second one too", is: [true, true]) { told.all }
            try await loop.run { signals.close() }
        }
    }

    @Test func `writing to a closed pipe is an error and not the end`() async throws {
        try await withLoop { _ in
            var ends: [Int32] = [0, 0]
            #expect(pipe(&ends) == 0)
            close(ends[0])
            var byte: UInt8 = 0
            #expect(write(ends[1], &byte, 1) == -1)
            #expect(errno == EPIPE)
            close(ends[1])
        }
    }
}

@Suite struct NameLookupTests {
    @Test(arguments: ["127.0.0.1", "::1"])
    func `a numeric address is told at once`(address: String) async throws {
        try await withLoop { loop in
            let told = Log<[String]>()
            try await loop.run {
                NameLookup.resolve(address, on: loop) { told.add((try? $0.get()) ?? []) }
                #expect(told.all == [[address]])
            }
        }
    }

    @Test func `this host's own name is told on the loop`() async throws {
        try await withLoop { loop in
            let told = Log<Bool>()
            NameLookup.resolve("localhost", on: loop) { outcome in
                let addresses = (try? outcome.get()) ?? []
                told.add(loop.isCurrent && addresses.contains { $0 == "127.0.0.1" || $0 == "::1" })
            }
            try await eventually("it is told", is: [true]) { told.all }
        }
    }
}

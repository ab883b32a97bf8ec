import EventLoop
import HTTP
import Telemetry
import TestSupport

/// A process full of clients, so that they can be stopped and killed as processes are.
actor Worker {
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private let loop: EventLoop
    private let arguments: Arguments
    private let caller: Caller
    private var clients: [Client] = []
    private var signals: Signals?

    init(_ arguments: Arguments, loop: EventLoop) throws {
        self.loop = loop
        self.arguments = arguments
        let history = try History(arguments.text("history"))
        let coordinators = try arguments.text("coordinators").split(separator: ",")
            .map { try HTTPEndpoint(parsing: String($0)) }
        caller = Caller(loop, history, coordinators, token: arguments.optional("token"))
    }

    func begin() throws {
        let name = try arguments.text("name")
        let seed = UInt64(try arguments.number("seed"))
        let around = Client.Surroundings(
            hosts: try arguments.text("hosts").split(separator: ",").map(String.init),
            unitsAHost: try arguments.number("units"),
            device: try HTTPEndpoint(parsing: arguments.text("device")),
            longestTTL: try arguments.number("longest-ttl"), home: arguments.optional("home").flatMap { Int($0) })
        signals = try Signals(loop: loop) { [weak self] _ in self?.assumeIsolated { $0.stop() } }
        clients = (0..<(try arguments.number("clients"))).map { index in
            Client("\(name).\(index)", caller, around, seed: seed &* 1000 &+ UInt64(index))
        }
        loop.spawn {
            await withTaskGroup { group in
                for client in await self.clients { group.addTask(executorPreference: self.loop) { await client.run() } }
            }
            self.loop.stop()
        }
    }

    private func stop() {
        let clients = clients
        loop.spawn { for client in clients { await client.stop() } }
    }
}

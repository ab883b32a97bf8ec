import EventLoop
import RedisClient
import TestSupport

extension Fault {
    /// What makes sentinels promote a replica, and what happens to sentinels. All of it ends with every server and
    /// sentinel up and reachable.
    static let failovers: [Fault] = [
        failover("kill-master") { outbreak, master in
            await outbreak.world.kill(master, holdDown: true)
            await outbreak.world.isReplaced(master)
            await outbreak.wait()
            await outbreak.world.letGo(master)
        },
        failover("kill-master-before-it-copied") { outbreak, master in
            let world = outbreak.world
            var random = outbreak.random
            let replicas = world.plan.redisServers.filter { $0 != master }
            for replica in replicas { await world.stop(replica) }
            // What already is on its way would still be read when a replica goes on, so its connection goes, too.
            await world.redis(["CLIENT", "KILL", "TYPE", "replica"], at: master)
            await world.loop.sleep(for: .milliseconds(200 + random.below(800)))
            await world.kill(master, holdDown: true)
            for replica in replicas { await world.goOn(replica) }
            await world.isReplaced(master)
            await outbreak.wait()
            await world.letGo(master)
        },
        // It goes on as a master that knows nothing of the other.
        failover("stop-master") { outbreak, master in
            await outbreak.world.stop(master)
            await outbreak.world.isReplaced(master)
            await outbreak.wait()
            await outbreak.world.goOn(master)
        },
        cutOff("master-cut-off", .both), cutOff("master-is-not-heard", .sent),
        cutOff("master-hears-nothing", .received),
        failover("failover-by-hand") { outbreak, master in
            var random = outbreak.random
            let sentinel = outbreak.world.door(random.element(outbreak.world.plan.sentinels))
            // It is refused where a failover is under way, or no replica will do.
            let answer = try? await sentinel.ask(["SENTINEL", "FAILOVER", .text(World.masterName)])
            if answer != nil { await outbreak.world.isReplaced(master) }
            await outbreak.wait()
        },
        Fault(name: "kill-sentinel", aim: .sentinel) { outbreak in
            await outbreak.world.kill(outbreak.target, holdDown: true)
            await outbreak.wait()
            await outbreak.world.letGo(outbreak.target)
            await outbreak.world.hasten(outbreak.target)
        },
        Fault(name: "stop-sentinel", aim: .sentinel) { outbreak in
            await outbreak.world.stop(outbreak.target)
            await outbreak.wait()
            await outbreak.world.goOn(outbreak.target)
        },
    ]

    /// A master that lives on, cut off, with whatever else is on its host.
    private static func cutOff(_ name: String, _ cut: Network.Cut) -> Fault {
        failover(name) { outbreak, master in
            guard let network = outbreak.world.plan.network else { return }
            let host = outbreak.world.plan.place(of: master)
            try network.cut(host, cut)
            await outbreak.world.isReplaced(master)
            await outbreak.wait()
            try network.heal(host)
        }
    }

    private static func failover(
        _ name: String, _ strike: @escaping @Sendable (Outbreak, _ master: String) async throws -> Void
    ) -> Fault {
        Fault(name: name, aim: .failover) { outbreak in try await strike(outbreak, await outbreak.world.master()) }
    }
}

extension World {
    /// Waits until another server than this one is a master. Gives up where none is promoted, as when other hosts are
    /// cut off, too.
    func isReplaced(_ master: String) async {
        let deadline = loop.now + .seconds(12)
        while loop.now < deadline {
            if await watch.masters.contains(where: { $0 != master }) { return }
            await loop.sleep(for: .milliseconds(50))
        }
    }
}

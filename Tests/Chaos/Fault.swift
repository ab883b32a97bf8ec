import EventLoop
import TestSupport

/// Something that goes wrong for a while, by name.
struct Fault: Sendable {
    /// One outbreak of a fault.
    struct Outbreak: Sendable {
        let world: World
        /// What it hits: a program, or a relay's name.
        let target: String
        let lasts: Duration
        let random: RandomSource

        func wait() async { await world.loop.sleep(for: lasts) }

        /// The Redis server that is hit where any may be: the master, now and then a replica.
        func server() async -> String {
            var random = random
            let master = await world.master()
            guard random.below(5) == 0 else { return master }
            return random.element(world.plan.redisServers.filter { $0 != master } + [master])
        }
    }

    /// What a fault hits; two faults never hit the same thing at one time.
    enum Aim: Sendable {
        case coordinator, agent, worker, redis, failover, sentinel, clock, redisLink, clientLink, probe, host
    }

    /// Whether it can break out in this run.
    func fits(_ plan: Plan) -> Bool {
        switch aim {
        case .redisLink, .clientLink: plan.network == nil
        case .host, .failover, .sentinel: plan.network != nil
        case .coordinator, .agent, .worker, .redis, .clock:
            !name.hasPrefix("twin-") && name != "agent-id-twice" || plan.network == nil
        case .probe: plan.probedAgent >= 0
        }
    }

    let name: String
    let aim: Aim
    /// Whether Redis has to be well meanwhile.
    var needsRedis = false
    /// Whether the records of Redis, its stream among them, may go back or vanish.
    var losesRecords = false
    let strike: @Sendable (Outbreak) async throws -> Void

    func target(_ random: inout RandomSource, _ plan: Plan) -> String {
        switch aim {
        case .coordinator: "c\(random.below(plan.coordinators))"
        case .agent: "a\(random.below(plan.agents))"
        case .worker: "w\(random.below(plan.workers))"
        case .redis, .failover: "redis"
        case .sentinel: random.element(plan.sentinels)
        case .clock: "clock"
        case .redisLink:
            random.below(plan.coordinators + plan.agents) < plan.coordinators
                ? "c\(random.below(plan.coordinators))-redis" : "a\(random.below(plan.agents))-redis"
        case .clientLink: "w\(random.below(plan.workers))-c\(random.below(plan.coordinators))"
        case .probe: "a\(plan.probedAgent)"
        case .host: "n\(random.below(plan.network?.hosts ?? 1))"
        }
    }

    static let all: [Fault] =
        programs("coordinator", .coordinator) + programs("agent", .agent) + programs("client", .worker)
        + hosts + redis + failovers + clocks + links("redis-link", .redisLink) + links("client-link", .clientLink) + odd

    /// What happens to any process.
    private static func programs(_ role: String, _ aim: Aim) -> [Fault] {
        [
            Fault(name: "kill-\(role)", aim: aim) { outbreak in
                await outbreak.world.kill(outbreak.target, holdDown: true)
                await outbreak.wait()
                await outbreak.world.letGo(outbreak.target)
            },
            Fault(name: "stop-\(role)", aim: aim) { outbreak in
                await outbreak.world.stop(outbreak.target)
                await outbreak.wait()
                await outbreak.world.goOn(outbreak.target)
            },
        ]
            + (aim == .worker
                ? []
                : [
                    Fault(name: "restart-\(role)", aim: aim) { outbreak in
                        await outbreak.world.terminate(outbreak.target)
                        await outbreak.wait()
                    }
                ])
    }

    private static func links(_ what: String, _ aim: Aim) -> [Fault] {
        func holding(_ name: String, _ ways: Set<Relay.Way>, thenCut: Bool) -> Fault {
            Fault(name: "\(name)-\(what)", aim: aim) { outbreak in
                await outbreak.world.hold([outbreak.target], ways)
                await outbreak.wait()
                if thenCut { await outbreak.world.cut([outbreak.target]) }
                await outbreak.world.heal([outbreak.target])
            }
        }
        return [
            holding("cut-both-ways", [.toServer, .toClient], thenCut: true),
            holding("requests-late", [.toServer], thenCut: false),
            holding("requests-lost", [.toServer], thenCut: true),
            holding("answers-late", [.toClient], thenCut: false),
            holding("answers-lost", [.toClient], thenCut: true),
            Fault(name: "slow-\(what)", aim: aim) { outbreak in
                var random = outbreak.random
                await outbreak.world.slow([outbreak.target], by: .milliseconds(20 + random.below(500)))
                await outbreak.wait()
                await outbreak.world.heal([outbreak.target])
            },
            Fault(name: "reset-\(what)", aim: aim) { outbreak in
                for _ in 0..<3 {
                    await outbreak.world.cut([outbreak.target])
                    await outbreak.world.loop.sleep(for: outbreak.lasts / 3)
                }
            },
        ]
    }

    /// What happens to a host's network.
    private static let hosts: [Fault] = [
        host("host-cut-off") { try $0.cut($1, .both) }, host("host-is-not-heard") { try $0.cut($1, .sent) },
        host("host-hears-nothing") { try $0.cut($1, .received) },
        Fault(name: "host-unplugged", aim: .host) { outbreak in
            guard let network = outbreak.world.plan.network, let host = Int(outbreak.target.dropFirst()) else { return }
            try network.unplug(host)
            await outbreak.wait()
            try network.plug(host)
        },
    ]

    private static func host(_ name: String, _ cut: @escaping @Sendable (Network, Int) throws -> Void) -> Fault {
        Fault(name: name, aim: .host) { outbreak in
            guard let network = outbreak.world.plan.network, let host = Int(outbreak.target.dropFirst()) else { return }
            try cut(network, host)
            await outbreak.wait()
            try network.heal(host)
        }
    }

    private static let clocks = [
        clock("clock-hour-ahead", [3600]), clock("clock-hour-back", [-3600]),
        // Presence ends at the first leap, and a dropped host's records at the next one.
        clock("clock-leaps", [-3600, 0, 3600, 0]),
        clock("clock-jitter", [0.5, -0.5, 0.2, -0.4, 0.3]),
    ]

    private static func clock(_ name: String, _ steps: [Double]) -> Fault {
        Fault(name: name, aim: .clock) { outbreak in
            let directory = outbreak.world.clockDirectory(await outbreak.world.master())
            for step in steps {
                try FakeClock.step(in: directory, by: .microseconds(Int64(step * 1_000_000)))
                await outbreak.world.loop.sleep(for: outbreak.lasts / steps.count)
            }
            try FakeClock.step(in: directory, by: .zero)
        }
    }
}

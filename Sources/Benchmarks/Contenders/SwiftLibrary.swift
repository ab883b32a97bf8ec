import EventLoop
import GPULease
import LoadGenerator

/// This product through its Swift library, in this process: what a program pays that waits, renews and gives back by
/// `acquire` and `release`.
struct SwiftLibrary: Contender {
    let name = "leasehold, Swift library"
    let ground: Ground
    let pool: GPUPool
    let servers: [Server]

    static func start(on ground: Ground) async throws -> SwiftLibrary {
        let product = try await Leasehold.start(on: ground, room: "library")
        let pool = try GPUPool(urls: ["http://127.0.0.1:\(product.port)"])
        return SwiftLibrary(ground: ground, pool: pool, servers: product.servers)
    }

    func run(_ workload: LockWorkload) async throws -> RushResult {
        var options = LeaseOptions()
        options.timeout = .seconds(600)
        if workload.isOneLock { options.unit = "h0/0" }
        let (locks, unlocks, handOffs) = (tally, tally, tally)
        let (end, last) = (EndFlag(loop: ground.loop), LastMoment(loop: ground.loop))
        let counts = try await withThrowingTaskGroup(of: Int.self) { group in
            for client in 0..<workload.clients {
                group.addTask { [options] in
                    var grants = 0
                    while !end.isRaised {
                        let asked = Host.nanoseconds
                        let lease = try await pool.acquire(for: "client-\(client)", options: options)
                        let granted = Host.nanoseconds
                        locks.note(granted - asked)
                        if workload.isOneLock, let sent = last.moment { handOffs.note(granted - sent) }
                        grants += 1
                        last.moment = Host.nanoseconds
                        await lease.release()
                        unlocks.note(Host.nanoseconds - (last.moment ?? granted))
                        unlocks.add(1)
                    }
                    return grants
                }
            }
            await ground.loop.sleep(for: workload.warmUp)
            var result = RushResult()
            let (began, cpu, own) = (Host.nanoseconds, servers.map { Host.cpu(of: $0.processID) }, Host.ownCPU)
            for tally in [locks, unlocks, handOffs] { tally.open() }
            await ground.loop.sleep(for: workload.duration)
            result.lock = locks.close().samples
            (result.unlock, result.pairs) = unlocks.close()
            result.handOff = handOffs.close().samples
            result.serverCPU = zip(servers, cpu).map { Double(Host.cpu(of: $0.processID) - $1) / 1e9 }
            result.ownCPU = Double(Host.ownCPU - own) / 1e9
            result.seconds = Double(Host.nanoseconds - began) / 1e9
            end.raise()
            for try await count in group { result.grants.append(count) }
            return result
        }
        return counts
    }

    private var tally: Tally { Tally(loop: ground.loop) }
}

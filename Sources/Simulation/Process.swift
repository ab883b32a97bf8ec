import LeaseModel

/// One process of the simulated world: it runs, stands still, or is gone.
class Process {
    unowned let world: World
    let name: String
    /// Rises with every start; what was under way to an earlier run reaches nobody.
    private(set) var run = 0
    private(set) var isRunning = false
    /// Stopped by a signal until then: what comes waits.
    var pausedUntil = Duration.zero
    /// When its host booted.
    var bootedAt: Duration

    init(_ name: String, in world: World, bootedAt: Duration) {
        self.name = name
        self.world = world
        self.bootedAt = bootedAt
    }

    var clock: BootInstant { BootInstant(sinceBoot: world.now - bootedAt) }

    func began() {
        run += 1
        isRunning = true
        pausedUntil = .zero
    }

    func ended() {
        run += 1
        isRunning = false
    }

    /// Does something in this process at a moment, later where it stands still then, never where it is gone.
    func at(_ moment: Duration, _ kind: Timeline.Kind, _ work: @escaping () -> Void) {
        let run = run
        world.timeline.add(
            kind, at: moment,
            .act { [self] in
                guard self.run == run else { return }
                if pausedUntil > world.now { return at(pausedUntil, kind, work) }
                work()
            })
    }
}

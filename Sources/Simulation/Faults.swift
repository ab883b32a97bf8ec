import LeaseModel
import LeaseStore
import RedisClient

/// What can break. The names stand in the summary.
enum Fault: String, CaseIterable, Sendable {
    case flush, snapshot, restore, failover
    case redisStands = "redis-stands"
    case clockForward = "clock-forward"
    case clockBack = "clock-back"
    case clockJitter = "clock-jitter"
    case agentCrash = "agent-crash"
    case hostReboot = "host-reboot"
    case hostAway = "host-away"
    case otherDirectory = "other-directory"
    case journalFails = "journal-fails"
    case agentStops = "agent-stopped"
    case agentCut = "agent-cut"
    case agentInbox = "agent-inbox-lost"
    case agentLate = "agent-scripts-late"
    case coordinatorCrash = "coordinator-crash"
    case coordinatorLeaves = "coordinator-leaves"
    case coordinatorStops = "coordinator-stopped"
    case coordinatorCut = "coordinator-cut"
    case coordinatorLate = "coordinator-scripts-late"
    case coordinatorInbox = "coordinator-inbox-lost"
    case mailLost = "messages-lost"
    case answersLost = "answers-lost"
    case slow
    case clientsCut = "clients-cut"
    case reset
    case forceReleaseAll = "force-release-all"
    case sleep
}

extension World {
    func strike(_ fault: Fault) async {
        counts.faults[fault, default: 0] += 1
        trace { "FAULT \(fault.rawValue)" }
        stirred()
        broken(until: now)
        switch fault {
        case .flush:
            _ = await wire.keep(master.clockKey, ["flush"])
            master.forgetAll()
        case .snapshot:
            _ = await wire.keep(master.clockKey, ["copy", .text(snapshot.clockKey)])
            snapshot.copyExpiries(of: master)
            hasSnapshot = true
        case .restore: await restore()
        case .failover:
            guard numbers.chance(percent: 40) else { return await failOver() }
            // The master is slow before it is given up: offers and confirms are under way when the copy takes over.
            for agent in agents { agent.link?.stalledThere = now + .milliseconds(2200) }
            let moment = now + numbers.duration(.milliseconds(200) ... .milliseconds(1800))
            broken(until: now + .milliseconds(2200))
            timeline.add(.plan, at: moment, .tend { [self] in await failOver() })
        case .redisStands:
            master.pausedUntil = now + numbers.duration(.milliseconds(100) ... .seconds(12))
            broken(until: master.pausedUntil)
        case .clockForward: master.clockOffset += numbers.duration(.milliseconds(300) ... .seconds(3600))
        case .clockBack: master.clockOffset -= numbers.duration(.milliseconds(300) ... .seconds(3600))
        case .clockJitter:
            for step in 1...8 {
                timeline.add(
                    .plan, at: now + .milliseconds(700 * step),
                    .act { [self] in
                        master.clockOffset += .milliseconds(numbers.within(-500...500))
                        broken(until: now)
                    })
            }
        case .agentCrash: crash(numbers.element(of: agents))
        case .hostAway:
            let agent = numbers.element(of: agents)
            agent.crash()
            agent.isAway = true
            // Its offers have to lapse before its waiters go elsewhere.
            broken(until: now + .seconds(3))
            timeline.add(
                .plan, at: now + numbers.duration(.seconds(16) ... .seconds(50)),
                .act { [self] in
                    guard !agent.isRunning else { return }
                    agent.start()
                    broken(until: now)
                })
        case .otherDirectory: otherDirectory(numbers.element(of: agents))
        case .hostReboot: reboot(numbers.element(of: agents))
        case .journalFails:
            let agent = numbers.element(of: agents)
            agent.journalFailsUntil = now + numbers.duration(.milliseconds(500) ... .seconds(15))
            // Units rest for 5 s after an offer that could not be written down.
            broken(until: agent.journalFailsUntil + .seconds(5))
            if numbers.chance(percent: 40) {
                timeline.add(
                    .plan, at: now + numbers.duration(.milliseconds(100) ... .seconds(3)),
                    .act { [self] in crash(agent) })
            }
        case .agentStops: stop(numbers.element(of: agents))
        case .coordinatorStops: stop(numbers.element(of: coordinators))
        case .agentCut: if let link = numbers.element(of: agents).link { cut(link) }
        case .coordinatorCut: if let link = numbers.element(of: coordinators).link { cut(link) }
        case .agentInbox: if let inbox = numbers.element(of: agents).inbox { lose(inbox) }
        case .agentLate:
            let end = now + numbers.duration(.seconds(2) ... .seconds(20))
            numbers.element(of: agents).link?.stick(until: end)
            broken(until: end)
        case .coordinatorLate:
            let end = now + numbers.duration(.seconds(2) ... .seconds(20))
            numbers.element(of: coordinators).link?.stick(until: end)
            broken(until: end)
        case .coordinatorInbox: if let inbox = numbers.element(of: coordinators).inbox { lose(inbox) }
        case .coordinatorCrash:
            let coordinator = numbers.element(of: coordinators)
            coordinator.crash()
            restart { if !coordinator.isRunning { coordinator.start() } }
        case .coordinatorLeaves:
            let coordinator = numbers.element(of: coordinators)
            coordinator.stop()
            restart(after: .milliseconds(600)) { if !coordinator.isRunning { coordinator.start() } }
        case .mailLost:
            weather.mailLoss = numbers.within(10...100)
            weather.losesMailUntil = now + numbers.duration(.milliseconds(500) ... .seconds(12))
            broken(until: weather.losesMailUntil)
        case .answersLost:
            weather.answerLoss = numbers.within(5...60)
            weather.losesAnswersUntil = now + numbers.duration(.milliseconds(500) ... .seconds(8))
            broken(until: weather.losesAnswersUntil)
        case .slow:
            weather.slowDelays = .milliseconds(5) ... .milliseconds(numbers.within(20...900))
            weather.slowUntil = now + numbers.duration(.seconds(1) ... .seconds(15))
            broken(until: weather.slowUntil + .seconds(2))
        case .clientsCut:
            weather.clientsCutUntil = now + numbers.duration(.milliseconds(300) ... .seconds(8))
            broken(until: weather.clientsCutUntil)
        case .reset: revoke(.reset)
        case .forceReleaseAll: revoke(.forceReleaseAll)
        case .sleep:
            sleep(for: numbers.duration(.seconds(1) ... .seconds(numbers.element(of: [10, 100, 3600]))))
            broken(until: now)
        }
    }

    func broken(until moment: Duration) {
        brokenUntil = max(brokenUntil, moment)
        unsettle(until: brokenUntil)
    }

    private func restore() async {
        guard hasSnapshot else { return }
        _ = await wire.keep(snapshot.clockKey, ["copy", .text(master.clockKey)])
        master.copyExpiries(of: snapshot)
        // A server that was restarted has no connections.
        for agent in agents { drop(agent.link, agent.inbox) }
        for coordinator in coordinators { drop(coordinator.link, coordinator.inbox) }
    }

    private func drop(_ link: Link?, _ inbox: MailBox?) {
        link?.lose("the server was restarted")
        inbox?.lose(noticedAfter: numbers.duration(.milliseconds(50) ... .seconds(1)))
    }

    /// A replica that lags behind is promoted; the old server lives on for those who have not noticed.
    private func failOver() async {
        if hasSnapshot, numbers.chance(percent: 50) {
            _ = await wire.keep(snapshot.clockKey, ["copy", .text(spare.clockKey)])
            spare.copyExpiries(of: snapshot)
        } else {
            _ = await wire.keep(master.clockKey, ["copy", .text(spare.clockKey)])
            spare.copyExpiries(of: master)
        }
        spare.clockOffset = master.clockOffset + .milliseconds(numbers.within(-800...800))
        spare.pausedUntil = .zero
        promoteSpare()
        for agent in agents { follow(agent, agent.link, agent.inbox) }
        for coordinator in coordinators { follow(coordinator, coordinator.link, coordinator.inbox) }
    }

    private func follow(_ process: Process, _ link: Link?, _ inbox: MailBox?) {
        let first = now + numbers.duration(.milliseconds(10) ... .seconds(8))
        let second = numbers.chance(percent: 50) ? first : now + numbers.duration(.milliseconds(10) ... .seconds(8))
        broken(until: max(first, second))
        process.at(first, .traffic) { link?.lose("its server is no master any more") }
        process.at(second, .traffic) { inbox?.lose(noticedAfter: .milliseconds(50)) }
    }

    private func crash(_ agent: AgentProcess) {
        agent.crash()
        restart { if !agent.isRunning { agent.start() } }
    }

    private func reboot(_ agent: AgentProcess) {
        agent.reboot(losing: numbers.element(of: AgentProcess.Loss.allCases))
        restart { if !agent.isRunning { agent.start() } }
        // Its units rest.
        broken(until: brokenUntil + plan.longestTTL + plan.lockDelay)
    }

    /// The agent is started with another state directory for a while.
    private func otherDirectory(_ agent: AgentProcess) {
        let back = now + numbers.duration(.seconds(20) ... .seconds(70))
        for moment in [now, back] {
            timeline.add(
                .plan, at: moment,
                .act { [self] in
                    agent.crash()
                    agent.takeOtherDirectory()
                    restart { if !agent.isRunning { agent.start() } }
                    // It is let in when the presence of the one before has ended, and rests then.
                    broken(until: brokenUntil + .seconds(25) + plan.longestTTL + plan.lockDelay)
                })
        }
    }

    private func restart(after least: Duration = .milliseconds(30), _ start: @escaping () -> Void) {
        let moment =
            now + least
            + numbers.duration(
                numbers.chance(percent: 70) ? .zero ... .seconds(2) : .seconds(2) ... .seconds(25))
        broken(until: moment)
        timeline.add(.plan, at: moment, .act(start))
    }

    private func stop(_ process: Process) {
        guard process.isRunning else { return }
        process.pausedUntil =
            now
            + numbers.duration(
                numbers.chance(percent: 60) ? .milliseconds(100) ... .seconds(6) : .seconds(6) ... .seconds(40))
        broken(until: process.pausedUntil)
    }

    private func cut(_ link: Link) {
        let end = now + numbers.duration(.milliseconds(300) ... .seconds(12))
        switch numbers.below(3) {
        case 0: link.stalledThere = end
        case 1: link.stalledBack = end
        default:
            link.stalledThere = end
            link.stalledBack = end
        }
        broken(until: end)
    }

    private func lose(_ inbox: MailBox) {
        let pause = numbers.duration(.milliseconds(50) ... .seconds(8))
        inbox.lose(noticedAfter: pause)
        broken(until: now + pause)
    }

    private func revoke(_ mode: RevokeMode) {
        let coordinator = numbers.element(of: coordinators)
        guard coordinator.isRunning else { return }
        let agent = numbers.element(of: agents)
        let scope: RevokeScope =
            switch numbers.below(3) {
            case 0: .all
            case 1: .host(agent.host)
            default: .unit(agent.units[0].unit)
            }
        coordinator.revoke(scope, mode)
    }
}

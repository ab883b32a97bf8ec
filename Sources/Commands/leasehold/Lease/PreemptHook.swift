import EventLoop
import JSON

/// A waiter's wish for the unit of a lease that is held.
struct PreemptWish: Equatable, Sendable {
    /// Who waits.
    let holder: String
    let priority: Int64
    /// How long the holder has before the lease is revoked.
    let within: Duration

    init(holder: String, priority: Int64, within: Duration) {
        self.holder = holder
        self.priority = priority
        self.within = within
    }

    /// The `preemption` of a renewal's answer; nil where nobody asks.
    init?(renewal body: JSONObject) {
        guard let wish = body["preemption"]?.object, let within = wish.number("release_within") else { return nil }
        self.init(
            holder: wish.text("by") ?? "", priority: wish.integer("priority") ?? 0, within: .seconds(within))
    }

    /// What the agent says to who stays connected.
    init?(agent data: String) {
        guard let wish = (try? JSONParser.parse(Array(data.utf8)))?.object, let within = wish.integer("within_ms")
        else {
            return nil
        }
        self.init(
            holder: wish.text("for") ?? "", priority: wish.integer("priority") ?? 0, within: .milliseconds(within))
    }
}

/// The command that a holder runs when it is asked to give its unit back.
struct PreemptHook: Sendable {
    let command: String

    /// Runs it to its end; what went wrong, or nil.
    ///
    /// - Parameter variables: Those of the program under the lease.
    func run(_ wish: PreemptWish, _ variables: [String: String], on loop: EventLoop) async -> String? {
        var child = ChildCommand(["/bin/sh", "-c", command])
        var environment = variables
        environment["LEASEHOLD_PREEMPTED_BY"] = wish.holder
        environment["LEASEHOLD_PREEMPTED_PRIORITY"] = String(wish.priority)
        environment["LEASEHOLD_RELEASE_WITHIN"] = Words.seconds(wish.within / .seconds(1))
        child.environment = environment
        child.output = .inherited
        child.errorOutput = .inherited
        do throws(LoopError) {
            let result = try await ChildProcess.run(child, deadline: max(wish.within, .seconds(1)), on: loop)
            switch result.exit {
            case .exited(0): return nil
            case .exited(let code): return Texts.hookFailed(command, "exit code \(code)")
            case .signalled(let signal):
                return Texts.hookFailed(command, result.passedDeadline ? "not done in its time" : "signal \(signal)")
            }
        } catch {
            return Texts.hookFailed(command, error.description)
        }
    }
}

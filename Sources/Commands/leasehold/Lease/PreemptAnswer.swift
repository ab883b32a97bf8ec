import EventLoop
import HTTP

/// What a holder does when somebody asks for its unit: once, whoever tells it and however often.
struct PreemptAnswer {
    let signal: RunOptions.OnPreempt
    let hook: PreemptHook?
    let grant: Grant
    let surroundings: Surroundings
    private var isWanted = false
    private var hooking: Task<Void, Never>?

    init(signal: RunOptions.OnPreempt, hook: PreemptHook?, grant: Grant, surroundings: Surroundings) {
        self.signal = signal
        self.hook = hook
        self.grant = grant
        self.surroundings = surroundings
    }

    /// What the agent says.
    mutating func heard(_ event: ServerSentEvent, send: (Signals.Signal) -> Void) {
        switch event.kind {
        case "preempting": if let wish = PreemptWish(agent: event.data) { wanted(wish, send: send) }
        case "spared":
            guard isWanted else { return }
            isWanted = false
            surroundings.error.line("leasehold: " + Texts.wantedNoMore)
        default: break
        }
    }

    /// - Parameter send: Sends the signal to what runs under the lease.
    mutating func wanted(_ wish: PreemptWish, send: (Signals.Signal) -> Void) {
        guard !isWanted else { return }
        isWanted = true
        surroundings.error.line("leasehold: " + Texts.wanted(wish))
        if case .signal(let signal) = signal { send(signal) }
        guard let hook else { return }
        var variables = surroundings.environment
        for (name, value) in HeldProgram.variables(of: grant) { variables[name] = value }
        hooking = surroundings.loop.spawn { [surroundings, variables] in
            if let failure = await hook.run(wish, variables, on: surroundings.loop) {
                surroundings.error.line("leasehold: " + failure)
            }
        }
    }
}

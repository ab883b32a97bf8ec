import EventLoop
import HTTP
import JSON
import RedisClient

/// What this program tells people beside tables: what was wrong, and what to do next.
enum Texts {
    // MARK: What was given

    static func unknownCommand(_ word: String, _ guess: String?) -> String {
        let hint = guess.map { " Did you mean \($0)?" } ?? ""
        return "\(quoted(word)) is no command.\(hint) See leasehold help."
    }

    static func runsAlone(_ name: String) -> String { "leasehold \(name) cannot be run from within another command." }

    static func tooManyWords(_ word: String, _ command: String) -> String {
        "\(quoted(word)) is one word too many for leasehold \(command). See leasehold \(command) --help."
    }

    static func missing(_ what: String, _ command: String, _ example: String) -> String {
        "leasehold \(command) needs \(what), as in: \(example)"
    }

    static func wrongURL(_ why: String) -> String { "--url: \(visible(why))." }

    static func tokenFileUnreadable(_ path: String, _ why: String) -> String {
        "--token-file: \(visible(why)). Give a file that this user can read, or set LEASEHOLD_TOKEN."
    }

    static func tokenFileWrong(_ path: String) -> String {
        "--token-file: \(visible(path)) holds no token or more than one; want one word on one line."
    }

    static func tokenFileOpen(_ path: String) -> String {
        "warning: others can read the token in \(visible(path)). Close it with: chmod 600 \(visible(path))"
    }

    static let certificateWithoutKey = "--client-certificate and --client-key go together. Name both, or none."

    static func auditUnreadable(_ path: String, _ why: String) -> String {
        "The audit file \(visible(path)) cannot be read (\(visible(why))). Name a file, as the user that may read it."
    }
    static func auditTorn(_ path: String) -> String {
        "The last line of \(visible(path)) has no end: it is being written, or power was lost."
    }
    static let auditNoLine = "A line is none of an audit file. Verify it with --verify."
    static func auditMarker(_ word: String) -> String {
        switch word {
        case "begun": "The file begins: what happened before is not in it."
        case "continued": "The file before this one ends here."
        case "redis-forgot": "Redis had lost its memory. Events that it had told nobody are missing here."
        case "missed": "Events are missing: the stream was trimmed before they were read."
        case "went-back": "Redis went back to an older copy of itself. What it lost stands above, what follows is new."
        default: "A marker of another version: \(visible(word))."
        }
    }
    static func auditBroken(_ why: String) -> String { "The chain is broken. \(visible(why))" }
    static let auditEmpty = "The file has no entries."
    static func auditIntact(_ first: Int64, _ last: Int64, _ hash: String) -> String {
        "Entries \(first) to \(last) are as they were written. "
            + (first == 1 ? "" : "Those before \(first) were not given: the chain begins with it. ")
            + "The last hash is \(visible(hash)): a copy kept elsewhere proves that nobody wrote all of them anew."
    }

    static func noLeaseToken(_ command: String) -> String {
        "leasehold \(command) needs a lease's token. Set LEASEHOLD_LEASE_TOKEN to what leasehold lock printed, "
            + "give it as a word, or - to read it from standard input."
    }

    static func noTokenShape(_ word: String) -> String {
        "\(quoted(word)) is no lease's token (UNIT#NUMBER.SECRET). By holder it is: leasehold unlock --id \(visible(word))"
    }

    // MARK: The service

    static func unanswered(_ error: HTTPError, _ endpoint: HTTPEndpoint) -> String {
        let why = visible(error.message)
        switch error.kind {
        case .cannotConnect:
            return "\(why). Is a coordinator running there? Start one with leasehold up, or name another with --url."
        case .timeout: return "\(why). Ask again; leasehold doctor looks for the reason."
        case .connectionLost: return "\(why). Ask again: it may or may not have been done."
        case .tls: return "\(why). Name the certificate to trust with --ca-file."
        case .badAnswer: return "\(why). Does \(endpoint) lead to a leasehold coordinator? Check --url."
        case .cancelled: return "The call was given up."
        case .badAddress, .cannotListen: return "\(why). Check --url."
        }
    }

    static func refused(_ answer: Service.Answer, _ endpoint: HTTPEndpoint, hasToken: Bool) -> String {
        let message = answer.body.text("msg").map(visible)
        switch answer.status {
        case 401:
            return hasToken
                ? "The service does not know this token. Check LEASEHOLD_TOKEN or --token-file."
                : "The service wants a token. Set LEASEHOLD_TOKEN, or name a file with --token-file."
        case 403 where message == nil: return "This token may not do that. Ask for one with a higher role."
        case 404 where answer.word.isEmpty || answer.word == "not_found":
            return "\(endpoint) does not know this call. Does --url lead to a leasehold coordinator of this version?"
        default: break
        }
        if let message { return message }
        let word = answer.word.isEmpty ? "without a reason" : visible(answer.word)
        return "The service answered \(answer.status), \(word). Its log says more."
    }

    static func oddAnswer(_ endpoint: HTTPEndpoint) -> String {
        "What came from \(endpoint) is no answer of a leasehold coordinator. Check --url."
    }

    static func noState(_ directory: String, _ why: String) -> String {
        "The state directory \(directory) cannot be made (\(why)). Name another with --state."
    }
    static func upTwice(_ directory: String, _ process: String) -> String {
        "Another `leasehold up` runs on \(directory), as process \(process). Stop that one, or name another directory with --state."
    }

    // MARK: Leases

    static let gaveUp = "Given up: the place in the queue goes to the next."
    static let notHeld = "That token or id holds nothing; nothing was freed. leasehold status shows who holds what."

    /// - Parameter reason: The service's, where it is another one than that others hold everything.
    static func timedOut(_ timeout: Duration, _ reason: String?) -> String {
        if let reason { return visible(reason) }
        let what = timeout > .zero ? "Nothing was granted in \(Words.span(timeout))." : "Nothing that fits is free now."
        return "\(what) Wait longer with --timeout; leasehold status shows who holds what."
    }

    /// What a holder has to know. The time is what is left now, counted from before the call was sent.
    static func granted(_ grant: Grant, left: Duration, isHeld: Bool) -> [String] {
        let lease = visible(grant.lease)
        var lines = [
            "Granted \(visible(grant.units.joined(separator: ", "))) to \(visible(grant.holder)) after \(Words.span(grant.waited)); lease \(lease)."
        ]
        for (name, value) in grant.variables.sorted(by: { $0.key < $1.key }) {
            lines.append("  \(visible(name))=\(visible(value))")
        }
        guard !isHeld else { return lines + ["Renewed until Ctrl-C, then given back."] }
        return lines + [
            "It stands for \(Words.span(left)) from now unless it is renewed. With the token in LEASEHOLD_LEASE_TOKEN:",
            "  leasehold renew     for another \(Words.span(grant.ttl))",
            "  leasehold unlock    to give it back",
        ]
    }

    static func renewed(_ lease: String, left: Double) -> String {
        "Renewed \(visible(lease)): it stands for \(Words.span(.seconds(max(0, left)))) from now."
    }

    static func renewalFailing(_ lease: String, _ why: String, left: Duration) -> String {
        "warning: cannot renew \(visible(lease)): \(visible(why)) "
            + "Trying again; it stands for \(Words.span(max(.zero, left))) from now."
    }

    static func renewalsFailed(_ lease: String) -> String {
        "The lease \(visible(lease)) is lost: it could not be renewed in time. Stop using the unit."
    }

    static func lost(_ lease: String, _ why: String) -> String { "The lease \(visible(lease)) is lost. \(why)" }

    static func notGivenBack(_ lease: String, _ why: String) -> String {
        "The lease \(visible(lease)) could not be given back: \(visible(why)) It ends by itself when its time is over."
    }

    // MARK: Running programs

    static let leftovers = "The program has ended, what it has started has not; ending that too."

    static func noProgram(_ program: String) -> String {
        "There is no program \(visible(program)). Check the spelling and PATH; nothing was leased."
    }

    static func notExecutable(_ program: String) -> String {
        "\(visible(program)) is no program that this user may run. Check it with: ls -l \(visible(program))"
    }

    static func cannotStart(_ program: String, _ why: String) -> String {
        "\(visible(program)) cannot be started: \(visible(why)). The lease was given back."
    }

    static func elsewhere(_ grant: Grant, _ own: String) -> String {
        "warning: \(visible(grant.unit)) is on \(visible(grant.host)), and this machine calls itself \(visible(own)). "
            + "Say --host \(visible(own)) for a unit here, or --anywhere where this is meant."
    }

    static func agentNotTold(_ why: String) -> String {
        "warning: this machine's agent could not be told of the program (\(visible(why))). If leasehold is killed, "
            + "nothing ends the program. Name the agent's socket with --agent-socket."
    }

    static func agentRefused(_ why: String) -> String {
        "warning: this machine's agent does not watch the program: \(visible(why))"
    }

    static func agentEnds(_ reason: String) -> String { "This machine's agent ends it (\(visible(reason)))." }

    static func stopping(_ ttl: Duration) -> String {
        "Stopped. The lease is not renewed meanwhile and ends in \(Words.span(ttl)) at most, and the program with it."
    }

    static func ending(_ grace: Duration) -> String {
        "Ending the program: SIGTERM now, SIGKILL in \(Words.span(grace)) at most."
    }

    static func wanted(_ wish: PreemptWish) -> String {
        "\(visible(wish.holder)) (priority \(wish.priority)) asks for this unit. Give it back within "
            + "\(Words.span(wish.within)); the lease is revoked then."
    }

    static func askedBack(_ holder: String, _ wish: PreemptWish, unit: String) -> String {
        "\(visible(wish.holder)) asks for \(visible(unit)): \(visible(holder)) has \(Words.span(wish.within)) to give it back."
    }

    static let wantedNoMore = "The unit is not asked for any more."

    static func hookFailed(_ command: String, _ why: String) -> String {
        "warning: the command of --preempt-command did not do its work (\(visible(why))): \(visible(command))."
    }

    static func noProcess(_ number: Int32) -> String { "There is no process \(number) on this machine." }

    static func adopted(_ number: Int32, _ grant: Grant) -> String {
        "Process \(number) runs under the lease \(visible(grant.lease)) now and ends with it."
    }

    static func notAdopted(_ number: Int32, _ why: String) -> String {
        "Process \(number) is not put under a lease; what was granted is given back. \(visible(why))"
    }

    static func adoptedEnded(_ number: Int32) -> String { "Process \(number) has ended; the lease is given back." }

    static func adoptedLost(_ number: Int32) -> String {
        "This machine's agent ends process \(number): SIGTERM, after the grace SIGKILL."
    }

    static func adoptedLeft(_ number: Int32) -> String {
        "Given back. Process \(number) goes on without a lease, on a GPU that may be another's."
    }

    static func unloaded(_ server: HTTPEndpoint) -> String { "\(server) has given its GPU memory back." }

    static func notUnloaded(_ server: HTTPEndpoint) -> String {
        "\(server) has not given its GPU memory back in time: something is still loaded or runs there."
    }

    static func serverFailed(_ why: String) -> String {
        "The model server does not do it: \(visible(why)). Is it the kind that was named? Name its address with --server."
    }

    // MARK: The pool

    static let cannotAsk = "There is nobody to ask. Say --yes to act without a question."
    static let leftAlone = "Nothing was done."
    static let noHosts = "No host has registered. Start leasehold-agent on each machine with GPUs, or leasehold up."
    static let streamLost = "The stream was lost; going on behind the last event."

    static func monitorFoot(_ interval: Duration, _ time: String) -> String {
        "q ends this, space looks now; every \(Words.span(interval)) and at each event. \(time)"
    }

    static func twoScopes(_ first: String, _ second: String) -> String {
        "--\(first) and --\(second) exclude each other. Give one of them, or none for the whole pool."
    }

    static func question(_ kind: Emergency.Kind, _ holders: [String], _ scope: String?) -> String {
        let whose = holders.isEmpty ? "No lease" : Words.count(Int64(holders.count), "lease")
        let names = holders.isEmpty ? "" : " (\(Words.list(holders, limit: 5)))"
        let place = scope.map { "of \(visible($0))" } ?? "of the whole pool"
        let waiters =
            switch kind {
            case .reset: ""
            case .forceRelease: " and every request that waits there is refused"
            }
        return "\(whose) \(place)\(names) will be ended\(waiters). Go on? [y/N] "
    }

    static func ended(_ answer: JSONObject) -> String {
        var text = "\(Words.count(answer.integer("released") ?? 0, "lease")) ended"
        if let ending = answer.integer("ending"), ending > 0 { text += ", \(ending) still being ended by their agents" }
        if let refused = answer.integer("refused"), refused > 0 {
            text += ", \(Words.count(refused, "waiting request")) refused"
        }
        let hosts = (answer["hosts"]?.object ?? [:]).members.compactMap { host in
            host.value.integer.map { "\(visible(host.name)): \($0)" }
        }
        return text + (hosts.isEmpty ? "." : " (\(hosts.joined(separator: ", "))).")
    }

    static func cordoned(_ host: String, isOn: Bool) -> String {
        isOn
            ? "\(visible(host)) is cordoned: its units are offered to nobody, its leases stand."
            : "\(visible(host)) is in service again."
    }

    static func draining(_ host: String, _ holders: [String], left: Duration?) -> String {
        let names = Words.list(holders, limit: 5)
        let what = "\(visible(host)): \(Words.count(Int64(holders.count), "lease")) to go (\(names))"
        return left.map { "\(what), revoked in \(Words.span($0))." } ?? what + "."
    }

    static func drained(_ host: String) -> String {
        "\(visible(host)) is empty and stays so. Take it back into service with: leasehold uncordon \(visible(host))"
    }

    static func drainBegun(_ host: String, _ leases: Int64) -> String {
        "\(visible(host)) is being drained: \(Words.count(leases, "lease")) to go. leasehold hosts shows when it is empty."
    }

    static func stillDraining(_ host: String) -> String {
        "\(visible(host)) is still being drained. End that with: leasehold uncordon \(visible(host))"
    }

    static func drainEnded(_ host: String) -> String {
        "The drain of \(visible(host)) was ended by somebody else; it is not empty. leasehold events --after 0 tells by whom."
    }

    static func verified(_ lease: String, _ answer: JSONObject) -> String {
        let holder = answer.text("holder").map { ", held by \(visible($0))" } ?? ""
        var text = answer.isTrue("current") ? "\(visible(lease)) is current\(holder)." : "\(visible(lease)) is stale."
        if let age = answer.number("age_ms") {
            text += " Told by the coordinator, whose copy is \(Words.span(.milliseconds(age))) old."
        } else if answer.text("source") == "agent" {
            text += " Told by the unit's agent."
        }
        return text
    }

    static func visible(_ text: String) -> String { Words.visible(text) }

    static func quoted(_ text: String) -> String {
        "\"" + Columns.fitted(visible(text), 60) + "\""
    }
}

/// What `selftest` and `doctor` tell.
extension Texts {
    static func checked(_ count: Int, failed: Int) -> String {
        failed == 0
            ? "All is well: \(Words.count(Int64(count), "check"))."
            : "\(failed) of \(Words.count(Int64(count), "check")) found something wrong."
    }

    // MARK: selftest

    static let noMessage = "The refusal has no msg, so that nobody learns what to do."
    static let noGPUs = "There is no GPU. leasehold probe on each machine says why."
    static let noTokens = "No tokens are set up: everybody who reaches this address may do everything."
    static let busy = "No GPU is free at present, so nothing was leased."
    static let wrongTime = "The time that the lease is said to stand cannot be right. Do all parts have one version?"
    static let staleAccepted = "An older fencing token counts as current: resources would let an old holder write."
    static let currentRefused =
        "The fencing token of a lease that stands counts as stale: resources would refuse its holder."
    static let foreignUnlocked = "A wrong token has freed a lease."

    static func wrongStatus(_ what: String, _ got: Int, want: Int) -> String {
        "\(what) is answered \(got), want \(want)."
    }

    static func wrongMember(_ name: String, want: String) -> String {
        "The answer's \(name) is missing or wrong, want \(want). Is this a coordinator of this version?"
    }

    static func degraded(_ reason: String?) -> String {
        let why = reason.map { " (\($0))" } ?? ""
        return "The service is degraded\(why): it grants nothing new. leasehold doctor --redis URL looks at its Redis."
    }

    // MARK: doctor

    static let unregistered =
        "The agent runs, but the pool does not know it. Its log says why; is --redis that of the coordinator?"
    static let noLoader =
        "The Vulkan loader libvulkan.so.1 is missing, so no GPU is found. Install libvulkan1 (Debian, Ubuntu) or "
        + "vulkan-loader (Fedora, Arch)."
    static let noManifests =
        "There is no Vulkan driver. Install that of the card: mesa-vulkan-drivers for AMD and Intel, NVIDIA's own "
        + "driver with its Vulkan part for NVIDIA."
    static let noDevices = "No driver has a device here. leasehold probe shows each driver and why it has none."
    static let noClockSource = "The kernel does not tell its clock source here; leases trust the rate of its clock."

    static func portTaken(_ endpoint: HTTPEndpoint) -> String {
        "Another program answers at \(endpoint). Find it with: ss -ltnp. Serve elsewhere with --listen, and name that "
            + "place with --url."
    }

    static func notReady(_ endpoint: HTTPEndpoint, _ why: String?) -> String {
        "\(endpoint) answers but is not ready\(why.map { ": \($0)" } ?? ".") Look at its Redis: "
            + "leasehold doctor --redis URL"
    }

    static func noServiceHere(_ endpoint: HTTPEndpoint) -> String {
        "Nobody listens at \(endpoint). Start leasehold up or leasehold-coordinator, or name another place with --url."
    }

    static func noRedis(_ endpoint: RedisEndpoint, _ why: String) -> String {
        "\(endpoint) cannot be reached (\(why)). Is redis-server running there, and does its bind and protected-mode "
            + "let this machine in?"
    }

    static func noAgent(_ socket: String) -> String {
        "No agent answers at \(socket). Where this machine's GPUs are to be leased, start leasehold-agent, or name "
            + "its socket with --agent-socket."
    }

    static func oddAgent(_ socket: String) -> String {
        "What answers at \(socket) is no agent. Name the agent's socket with --agent-socket."
    }

    static func skipped(_ faults: [String]) -> String { faults.joined(separator: "; ") + ". See leasehold probe." }

    static func onlySoftware(_ names: String) -> String {
        "Only software renderers: \(names). They are leased where there is no GPU. If there is a card, install its "
            + "Vulkan driver."
    }

    static func noNodes(inContainer: Bool) -> String {
        inContainer
            ? "There is no /dev/dri in this container. Start it with --device /dev/dri, or --gpus all for NVIDIA."
            : "There is no /dev/dri: the kernel has no driver for a GPU here, or there is no GPU."
    }

    static func closedNode(_ path: String, group: String?) -> String {
        let remedy = group.map { "Add the user to its group and log in again: usermod -aG \($0) USER" } ?? ""
        return "This user may not open \(path). \(remedy)"
    }

    static func noGraphics(_ given: String) -> String {
        "NVIDIA_DRIVER_CAPABILITIES is \(given.isEmpty ? "not set" : "\"\(given)\""): Vulkan needs graphics. Start the "
            + "container with -e NVIDIA_DRIVER_CAPABILITIES=all"
    }

    static func clockStepped(_ by: Duration) -> String {
        "The wall clock stepped by \(Words.seconds(by / .seconds(1))) s while this ran. No lease depends on it; queues "
            + "may lapse early. Let chrony or systemd-timesyncd slew it."
    }

    static func coarseClock(_ source: String) -> String {
        "The kernel counts time by \(source), which loses time under load. Boot with another clock source, such as tsc."
    }

    static func slowClock(_ source: String) -> String {
        "The kernel counts time by \(source): right, but slow to read. tsc is better where the machine has a stable one."
    }
}

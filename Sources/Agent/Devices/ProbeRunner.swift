import EventLoop
import LeaseModel

/// Asks one driver at a time in a short-lived child, so that one that hangs, crashes or leaves memory behind costs only
/// its own devices.
actor ProbeRunner {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    /// Bytes that a child may write; beyond, its answer cannot be read and counts as none.
    private static let outputLimit = 1 << 20
    /// Between the kill and giving up: a child inside a hanging kernel driver cannot even be killed.
    private static let killGrace = Duration.seconds(1)

    private let probe: String
    private let environment: [String: String]
    private let deadline: Duration
    private let loop: EventLoop
    /// Children that nobody waits for any more and that have not ended, by their manifest.
    private var stuck: [String: ChildProcess] = [:]
    private var waiting: [String: CheckedContinuation<ChildResult?, Never>] = [:]
    private var timers: [String: LoopTimer] = [:]

    /// - Parameters:
    ///   - probe: The path of `leasehold-probe`.
    ///   - environment: What the child gets, save what would add to the one driver, and what is secret.
    init(probe: String, environment: [String: String], deadline: Duration, loop: EventLoop) {
        self.probe = probe
        self.environment = environment
        self.deadline = deadline
        self.loop = loop
    }

    /// Asks the driver of one manifest. Returns within the deadline and a second, whatever the driver does.
    func ask(_ manifest: String) async -> DriverReport {
        if let objection = DriverManifests.objection(to: manifest) {
            return DriverReport(manifest: manifest, outcome: objection)
        }
        if stuck[manifest]?.isRunning == true {
            return DriverReport(manifest: manifest, outcome: .failed("it still hangs from an earlier search"))
        }
        stuck[manifest] = nil
        var command = ChildCommand([probe])
        command.environment = childEnvironment(manifest)
        command.output = .collected(limit: Self.outputLimit)
        command.errorOutput = .collected(limit: 64 << 10)
        // A driver that hangs must not outlive an agent that is killed; a system without setpriv goes without.
        if Files.isExecutable("/usr/bin/setpriv") { command.diesWithParent = .kill }
        let child: ChildProcess
        do throws(LoopError) {
            child = try ChildProcess.start(command, deadline: deadline, on: loop)
        } catch {
            return DriverReport(manifest: manifest, outcome: .failed("it cannot be asked: \(error.description)"))
        }
        guard let result = await end(of: child, manifest) else {
            stuck[manifest] = child
            return DriverReport(
                manifest: manifest,
                outcome: .failed("it did not answer within \(PlainText.seconds(deadline)) s and cannot be ended"))
        }
        return report(manifest, result)
    }

    private func end(of child: ChildProcess, _ manifest: String) async -> ChildResult? {
        await withCheckedContinuation { continuation in
            waiting[manifest] = continuation
            let timer = loop.timer { self.assumeIsolated { $0.finish(manifest, nil) } }
            timer.arm(after: deadline + Self.killGrace)
            timers[manifest] = timer
            child.whenFinished { result in self.assumeIsolated { $0.finish(manifest, result) } }
        }
    }

    /// Whichever comes first, the end or the giving up, resumes.
    private func finish(_ manifest: String, _ result: ChildResult?) {
        timers.removeValue(forKey: manifest)?.disarm()
        waiting.removeValue(forKey: manifest)?.resume(returning: result)
    }

    private func report(_ manifest: String, _ result: ChildResult) -> DriverReport {
        let why: String
        switch result.exit {
        case _ where result.passedDeadline:
            why = "it did not answer within \(PlainText.seconds(deadline)) s and was ended"
        case .exited(0):
            var report = DriverReport(manifest: manifest, document: result.output)
            if case .unusable(let text) = report.outcome {
                let why = Self.complaint(in: result.errorOutput) ?? text
                // A driver that is installed in part, unlike one without a card.
                report.outcome = why.contains("cannot open shared object") ? .failed(why) : .unusable(why)
            }
            return report
        case .exited(let code): why = "its process ended with code \(code)"
        case .signalled(let signal): why = "it crashed: its process was ended by signal \(signal)"
        }
        let complaint = Self.complaint(in: result.errorOutput).map { " (\($0))" } ?? ""
        return DriverReport(manifest: manifest, outcome: .failed(why + complaint))
    }

    /// What the loader complained of first, which led to the rest; else what was written last.
    private static func complaint(in output: [UInt8]) -> String? {
        let lines = String(decoding: output, as: UTF8.self).split(whereSeparator: \.isNewline)
        guard let line = lines.first(where: { $0.hasPrefix("ERROR:") }) else {
            return lines.last.map { PlainText.line(String($0)) }
        }
        let text = PlainText.line(String(line.dropFirst(6)))
        // The loader's own function, which says nothing to a reader.
        let parts = text.split(separator: " ", maxSplits: 1)
        return parts.count == 2 && parts[0].hasSuffix(":") && parts[0].contains("_") ? String(parts[1]) : text
    }

    private func childEnvironment(_ manifest: String) -> [String: String] {
        var variables = environment.filter { name, _ in
            // Layers and further drivers; the screens of a user; our own settings, which may hold secrets.
            !name.hasPrefix("VK_") && !name.hasPrefix("LEASEHOLD_") && name != "DISPLAY" && name != "WAYLAND_DISPLAY"
        }
        variables["VK_DRIVER_FILES"] = manifest
        variables["VK_ICD_FILENAMES"] = manifest
        variables["VK_LOADER_LAYERS_DISABLE"] = "~all~"
        // Mesa's own layer, for loaders that do not know the line above.
        variables["NODEVICE_SELECT"] = "1"
        variables["VK_LOADER_DEBUG"] = "error"
        return variables
    }
}

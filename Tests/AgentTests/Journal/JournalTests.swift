import EventLoop
import LeaseModel
import Testing

@testable import Agent

@Suite struct `The journal` {
    @Test func `reads back what was written`() throws {
        let memory = try Self.memory()
        let decoded = try #require(JournalText.decode(JournalText.encode(memory, bootID: "boot")))
        #expect(decoded.memory == memory)
        #expect(decoded.bootID == "boot")
    }

    @Test func `counts as lost where it is no journal`() throws {
        let whole = JournalText.encode(try Self.memory(), bootID: "boot")
        for length in 0..<whole.count { #expect(JournalText.decode(Array(whole[..<length])) == nil) }
        let text = String(decoding: whole, as: UTF8.self)
        for (known, other) in [
            ("\"version\":3", "\"version\":4"), ("\"held\"", "\"hold\""), ("h1/1#7", "h1/0#7"),
            ("\"reset\"", "\"bored\""),
        ] {
            #expect(text.contains(known))
            #expect(JournalText.decode(Array(text.replacing(known, with: other).utf8)) == nil, "\(other)")
        }
    }

    @Test func `of this boot is adopted, of another one only its fencing tokens and longest ttl`() throws {
        try inDirectory { directory in
            let memory = try Self.memory()
            do {
                let file = try JournalFile(directory: directory)
                #expect(file.past(isFirstJoin: true, wallClock: .zero) == .firstJoin)
                #expect(
                    file.past(isFirstJoin: false, wallClock: .seconds(9)) == .unknown(wallClockMicroseconds: 9_000_000))
                try file.write(memory)
            }
            do {
                let file = try JournalFile(directory: directory)
                #expect(file.past(isFirstJoin: true, wallClock: .zero) == .remembered(memory))
            }
            try Files.replace(directory + "/journal.json", with: JournalText.encode(memory, bootID: "another"))
            let file = try JournalFile(directory: directory)
            #expect(file.past(isFirstJoin: false, wallClock: .zero) == .rebooted(memory))
        }
    }

    @Test func `does not forget the longest ttl when it was put back`() throws {
        try inDirectory { directory in
            var memory = try Self.memory()
            memory.longestTTL = .seconds(60)
            do {
                let file = try JournalFile(directory: directory)
                try file.write(memory)
                memory.longestTTL = .seconds(500)
                try file.write(memory)
            }
            memory.longestTTL = .seconds(60)
            try Files.replace(directory + "/journal.json", with: JournalText.encode(memory, bootID: "another"))
            memory.longestTTL = .seconds(500)
            let file = try JournalFile(directory: directory)
            #expect(file.past(isFirstJoin: false, wallClock: .zero) == .rebooted(memory))
        }
    }

    @Test func `of an earlier boot may lack the last writes, so its fencing tokens begin above the wall clock`() throws
    {
        let memory = try Self.memory()
        let highest = try #require(memory.units.map(\.highest.value).max())
        #expect(memory.afterReboot(wallClock: .zero) == memory)
        let later = memory.afterReboot(wallClock: .microseconds(highest + 7))
        #expect(later.floor == FencingToken(highest + 7))
        #expect(later.units.allSatisfy { $0.highest >= FencingToken(highest + 7) })
        try inDirectory { directory in
            let file = try JournalFile(directory: directory)
            try Files.replace(directory + "/journal.json", with: JournalText.encode(memory, bootID: "another"))
            #expect(file.past(isFirstJoin: false, wallClock: .microseconds(highest + 7)) == .rebooted(later))
        }
    }

    @Test func `remembers a rest`() throws {
        try inDirectory { directory in
            var memory = try Self.memory()
            memory.restingUntil = BootInstant(sinceBoot: .seconds(700))
            memory.floor = FencingToken(1_764_000_000_000_000)
            do { try JournalFile(directory: directory).write(memory) }
            let file = try JournalFile(directory: directory)
            #expect(file.past(isFirstJoin: false, wallClock: .zero) == .remembered(memory))
        }
    }

    @Test func `that cannot be read makes no first join`() throws {
        try inDirectory { directory in
            let file = try JournalFile(directory: directory)
            try Files.replace(file.path, with: Array("{".utf8))
            #expect(file.past(isFirstJoin: true, wallClock: .seconds(1)) == .unknown(wallClockMicroseconds: 1_000_000))
        }
    }

    @Test func `whose directory held one before makes no first join`() throws {
        try inDirectory { directory in
            let file = try JournalFile(directory: directory)
            try file.write(try Self.memory())
            try Files.remove(file.path)
            #expect(file.past(isFirstJoin: true, wallClock: .seconds(1)) == .unknown(wallClockMicroseconds: 1_000_000))
        }
    }

    @Test func `made for a new host lets its units be leased at once, save after a reboot`() throws {
        try inDirectory { directory in
            let file = try JournalFile(directory: directory)
            let empty = AgentMemory(instance: InstanceID("a0"), units: [], longestTTL: .zero)
            func make(uptime: Duration) throws -> FirstState {
                try file.makeFirst(
                    instance: empty.instance, uptime: uptime, longestTTL: .seconds(600), lockDelay: .seconds(2))
            }
            #expect(try make(uptime: .seconds(602)) == .bootedLately(rest: .seconds(602)))
            #expect(!Files.exists(file.path))
            #expect(try make(uptime: .seconds(603)) == .made)
            #expect(file.past(isFirstJoin: false, wallClock: .zero) == .remembered(empty))
            #expect(try make(uptime: .seconds(9000)) == .known)
            try Files.replace(file.path, with: JournalText.encode(empty, bootID: "another"))
            #expect(file.past(isFirstJoin: false, wallClock: .zero) == .rebooted(empty))
        }
    }

    @Test func `is not made anew where one was lost`() throws {
        try inDirectory { directory in
            let file = try JournalFile(directory: directory)
            try file.write(try Self.memory())
            try Files.remove(file.path)
            let state = try file.makeFirst(
                instance: InstanceID("a0"), uptime: .seconds(9000), longestTTL: .seconds(600), lockDelay: .seconds(2))
            #expect(state == .known)
            #expect(!Files.exists(file.path))
        }
    }

    @Test func `belongs to one agent at a time`() throws {
        try inDirectory { directory in
            let first = try JournalFile(directory: directory)
            #expect(throws: AgentError.stateDirectoryBusy(directory, process: "\(Environment.processID)")) {
                try JournalFile(directory: directory)
            }
            withExtendedLifetime(first) {}
        }
    }

    @Test func `remembers lines that were added, and passes over one without its end`() throws {
        try inDirectory { directory in
            let before = try Self.memory()
            var after = before
            after.units[0].known = nil
            after.units[3].highest = FencingToken(12)
            do {
                let file = try JournalFile(directory: directory)
                #expect(!file.add([after.units[0]], longestTTL: after.longestTTL), "nothing to add to")
                try file.write(before)
                #expect(file.add([after.units[0], after.units[3]], longestTTL: after.longestTTL))
                #expect(
                    !file.add([after.units[0]], longestTTL: after.longestTTL + .seconds(1)), "a longer ttl is flushed")
            }
            let whole = try Files.read(directory + "/journal.json")
            let file = try JournalFile(directory: directory)
            #expect(file.past(isFirstJoin: false, wallClock: .zero) == .remembered(after))
            try Files.replace(file.path, with: whole + Array(#"{"unit":"h1/0","high"#.utf8))
            #expect(file.past(isFirstJoin: false, wallClock: .zero) == .remembered(after))
            try Files.replace(file.path, with: whole + Array("nonsense\n".utf8))
            #expect(file.past(isFirstJoin: false, wallClock: .zero) == .unknown(wallClockMicroseconds: 0))
        }
    }

    @Test func `is replaced when its lines have grown`() throws {
        try inDirectory { directory in
            let file = try JournalFile(directory: directory)
            let memory = try Self.memory()
            try file.write(memory)
            var added = 0
            while file.add(memory.units, longestTTL: memory.longestTTL) { added += 1 }
            #expect(added > 100)
            try file.write(memory)
            #expect(file.add(memory.units, longestTTL: memory.longestTTL))
            #expect(file.past(isFirstJoin: false, wallClock: .zero) == .remembered(memory))
        }
    }

    private static func memory() throws -> AgentMemory {
        let deadline = Bench.start + .microseconds(1_234_567)
        var ending = try Bench.own(7, on: "h1/1", deadline: deadline)
        ending.process = LeaseProcess(
            group: 4711, startTicks: 99, keeper: LeaseProcess.Keeper(process: 4710, startTicks: 98),
            isAlone: true)
        var held = try Bench.own(5, deadline: deadline)
        held.asked = OwnLease.Asked(
            Preemption(ticket: TicketID("t9"), holder: try HolderID("Root-Mic"), priority: 0, by: "ann"),
            deadline: deadline)
        ending.terms.grace = .milliseconds(1500)
        ending.terms.metadata = #"{"job":"ü\n"}"#
        return AgentMemory(
            instance: InstanceID("a1"), ancestors: [InstanceID("a0"), InstanceID("b")],
            units: [
                AgentMemory.Unit(
                    unit: try UnitID("h1/0"), highest: FencingToken(1_764_000_000_000_001),
                    known: AgentMemory.Lease(lease: held, standing: .held)),
                AgentMemory.Unit(
                    unit: try UnitID("h1/1"), highest: FencingToken(7),
                    known: AgentMemory.Lease(lease: ending, standing: .ending(.reset))),
                AgentMemory.Unit(
                    unit: try UnitID("h1/2"), highest: FencingToken(9),
                    known: AgentMemory.Lease(
                        lease: try Bench.own(9, on: "h1/2", deadline: deadline), standing: .confirming)),
                AgentMemory.Unit(unit: try UnitID("h1/3"), highest: FencingToken(0)),
            ], longestTTL: .milliseconds(60_500), restingUntil: Bench.start + .microseconds(7))
    }

    private func inDirectory(_ body: (String) throws -> Void) throws {
        let directory = "/tmp/lh-\(SecureRandom.randomHex(bytes: 6))"
        defer { try? Files.removeTree(directory) }
        try body(directory)
    }
}

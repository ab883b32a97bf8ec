import EventLoop
import Glibc
import TestSupport

let usage = """
    chaos [--seconds N] [--seed N] [--faults A,B,...]   break everything for so long, then judge what clients saw
    chaos flush [--rounds N] [--seed N]                 let Redis forget everything while 8 hold and 200 wait
    chaos stop [--rounds N] [--seed N]                  stop holders for longer than their leases
    chaos fleet [--seconds N] [--seed N]                the same on six hosts with a network that breaks; needs root
    chaos cut [--rounds N] [--seed N]                   cut off hosts on which leasehold run holds units; needs root
    chaos check --history DIRECTORY                     judge a history again
    chaos faults                                        name the faults

    """

func chaos(_ words: ArraySlice<String>) throws -> Int32 {
    let scenario = words.first.flatMap { ["flush", "stop", "fleet", "cut"].contains($0) ? $0 : nil }
    let arguments = try Arguments(words.dropFirst(scenario == nil ? 0 : 1))
    guard let program = Environment.executablePath else { throw Arguments.Wrong(description: "/proc is missing") }
    let isRoot = Environment.userID == 0
    if isRoot, Environment.get("LEASEHOLD_CHAOS_INSIDE") == nil {
        // Whatever happens, no process, mount or file outlives these namespaces.
        throw Shell.become(
            ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--", program] + words,
            adding: "LEASEHOLD_CHAOS_INSIDE")
    }
    let seed = UInt64(try arguments.number("seed", Int(SystemRandomNumberGenerator.number())))
    let seconds = try arguments.number("seconds", 30)
    var plan = Plan(
        seed: seed, duration: .seconds(seconds), programs: Files.directory(of: program), program: program,
        isRoot: isRoot,
        faults: arguments.optional("faults")?.split(separator: ",").map(String.init) ?? [])
    for name in plan.faults where !Fault.all.contains(where: { $0.name == name }) {
        throw Arguments.Wrong(description: "there is no fault \"\(name)\"; chaos faults names them")
    }
    if scenario == "fleet" || scenario == "cut" {
        guard isRoot else { throw Arguments.Wrong(description: "this needs root: it makes network namespaces") }
        plan.network = Network(hosts: 1 + plan.coordinators + plan.agents)
        plan.probedAgent = -1
    }
    plan.workers = try arguments.number("workers", plan.workers)
    let directory = "/tmp/lhc-\(seed)"
    try Files.removeTree(directory)
    try Files.makeDirectory(directory)
    for part in ["history", "logs"] { try Files.makeDirectory("\(directory)/\(part)") }
    let rounds = try arguments.number("rounds", 5)
    let (kind, again): (Run.Kind, String) =
        switch scenario {
        case "flush": (.flush(rounds: rounds), "chaos flush --rounds \(rounds) --seed \(seed)")
        case "stop": (.stop(rounds: rounds), "chaos stop --rounds \(rounds) --seed \(seed)")
        case "cut": (.cut(rounds: rounds), "chaos cut --rounds \(rounds) --seed \(seed)")
        default:
            (
                .nemesis,
                "chaos \(scenario == nil ? "" : "fleet ")--seconds \(seconds) --seed \(seed)"
                    + (plan.faults.isEmpty ? "" : " --faults \(plan.faults.joined(separator: ","))")
            )
        }
    Console.write("\(again)\n")
    Environment.raiseFileLimit()
    let loop = try EventLoop()
    let run = Run(kind, plan, directory: directory, loop: loop)
    try run.assumeIsolated { try $0.begin() }
    loop.run()
    let isWell = try Verdict.tell("\(directory)/history")
    guard isWell, arguments.optional("keep") == nil else {
        Console.write("history and logs: \(directory)\nagain: \(again)\n")
        return isWell ? 0 : 1
    }
    try Files.removeTree(directory)
    return 0
}

func client(_ words: ArraySlice<String>) throws -> Int32 {
    Environment.raiseFileLimit()
    let loop = try EventLoop()
    let worker = try Worker(Arguments(words), loop: loop)
    try worker.assumeIsolated { try $0.begin() }
    loop.run()
    return 0
}

func holder(_ words: ArraySlice<String>) throws -> Int32 {
    let loop = try EventLoop()
    let holder = try Holder(Arguments(words), loop: loop)
    loop.spawn { await holder.run() }
    loop.run()
    return 0
}

extension SystemRandomNumberGenerator {
    static func number() -> UInt32 { .random(in: 1...999_999_999) }
}

do {
    let words = CommandLine.arguments.dropFirst()
    let code: Int32
    switch words.first {
    case "client": code = try client(words.dropFirst())
    case "holder": code = try holder(words.dropFirst())
    case "check": code = try Verdict.tell(Arguments(words.dropFirst()).text("history")) ? 0 : 1
    case "faults":
        Console.write(Fault.all.map(\.name).sorted().joined(separator: "\n") + "\n")
        code = 0
    case "help", "--help":
        Console.write(usage)
        code = 0
    default: code = try chaos(words)
    }
    Environment.exit(code)
} catch {
    Console.write("chaos: \(error)\n", to: .error)
    Environment.exit(2)
}

import EventLoop
import Glibc
import TestSupport

let usage = """
    chaos [--seconds N] [--seed N] [--faults A,B,...]   break everything for so long, then judge what clients saw
    chaos check --history DIRECTORY                     judge a history again
    chaos faults                                        name the faults

    """

func chaos(_ words: ArraySlice<String>) throws -> Int32 {
    let arguments = try Arguments(words)
    guard let program = Environment.executablePath else { throw Arguments.Wrong(description: "/proc is missing") }
    let isRoot = Environment.userID == 0
    if isRoot, Environment.get("LEASEHOLD_CHAOS_INSIDE") == nil {
        // Whatever happens, no process, mount or file outlives these namespaces.
        throw Shell.become(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--", program] + words,
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
    plan.workers = try arguments.number("workers", plan.workers)
    let directory = "/tmp/lhc-\(seed)"
    try Files.removeTree(directory)
    try Files.makeDirectory(directory)
    for part in ["history", "logs"] { try Files.makeDirectory("\(directory)/\(part)") }
    Console.write("chaos --seconds \(seconds) --seed \(seed)\n")
    Environment.raiseFileLimit()
    let loop = try EventLoop()
    let run = Run(plan, directory: directory, loop: loop)
    try run.assumeIsolated { try $0.begin() }
    loop.run()
    let isWell = try Verdict.tell("\(directory)/history")
    guard isWell, arguments.optional("keep") == nil else {
        Console.write("history and logs: \(directory)\nagain: chaos --seconds \(seconds) --seed \(seed)\n")
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

extension SystemRandomNumberGenerator {
    static func number() -> UInt32 { .random(in: 1...999_999_999) }
}

do {
    let words = CommandLine.arguments.dropFirst()
    let code: Int32
    switch words.first {
    case "client": code = try client(words.dropFirst())
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

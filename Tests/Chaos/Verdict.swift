import EventLoop

/// What is printed at the end of a run.
enum Verdict {
    /// Judges what lies in a directory, prints it, and tells whether all is well.
    static func tell(_ directory: String) throws -> Bool {
        var checker = Checker(try Records(directory))
        checker.check()
        var text = ""
        if !checker.faults.isEmpty {
            let total = checker.faults.reduce(0) { $0 + $1.count }
            text += "\(total) faults of \(checker.faults.count) kinds\n"
            for fault in checker.faults { text += "  \(fault.count) \(fault.name)\n" }
        }
        for (name, count) in checker.counts.sorted(by: { $0.key < $1.key }) { text += "\(name): \(count)\n" }
        for violation in checker.violations.prefix(40) { text += "VIOLATION \(violation)\n" }
        if checker.violations.count > 40 { text += "and \(checker.violations.count - 40) more\n" }
        text += checker.violations.isEmpty ? "no violations\n" : "\(checker.violations.count) violations\n"
        Console.write(text)
        return checker.violations.isEmpty
    }
}

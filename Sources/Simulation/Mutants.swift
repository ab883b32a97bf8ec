/// A rule that the simulator's own shells break when told to.
enum Switch: String, Hashable, Sendable {
    /// A restarted agent takes its state directory for a new one.
    case forgottenJournal
    /// After a restart nothing of the journal is adopted, and nothing rests.
    case blindReboot
    /// The journal of an earlier boot is taken for this one's.
    case anyBoot
    /// A word is said although the journal could not be written.
    case unwrittenJournal
    /// Messages that were made for another session are taken.
    case anySession
    /// A grant is counted from its receipt, not from the heartbeat before the offer.
    case countedFromReceipt
}

/// The protocol with one rule removed, which the simulation has to notice.
package struct Mutant: Sendable {
    package let name: String
    /// The rule, as what happens without it.
    package let what: String
    let edits: [ScriptEdit]
    let switches: Set<Switch>

    init(_ name: String, _ what: String, edits: [ScriptEdit] = [], switches: Set<Switch> = []) {
        self.name = name
        self.what = what
        self.edits = edits
        self.switches = switches
    }

    package static let all: [Mutant] = []
}

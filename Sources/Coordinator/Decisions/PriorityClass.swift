import LeaseModel

/// How urgent a request is when it names no priority: its id tells (design §7).
enum PriorityClass: String, Hashable, Sendable, CaseIterable {
    case voice, console, standard, dreamer

    var priority: Priority {
        switch self {
        case .voice: .voice
        case .console: .console
        case .standard: .standard
        case .dreamer: .dreamer
        }
    }

    /// The class of a holder's id: the most urgent one that the beginning of any of its words names.
    init(ofHolder id: String) {
        var found = PriorityClass.standard
        var rank = 4
        for word in Self.words(of: id) {
            guard let (candidate, itsRank) = Self.named(by: word), itsRank < rank else { continue }
            found = candidate
            rank = itsRank
        }
        self = found
    }

    /// The class that a priority belongs to in metrics: the one whose own priority is next at or above it.
    init(of priority: Priority) { self.init(ofValue: priority.value) }

    init(ofValue value: Int) {
        switch value {
        case ...Priority.voice.value: self = .voice
        case ...Priority.console.value: self = .console
        case ...Priority.standard.value: self = .standard
        default: self = .dreamer
        }
    }

    private static func named(by word: [UInt8]) -> (PriorityClass, rank: Int)? {
        if word.starts(with: "mic".utf8) { return (.voice, 0) }
        if word.starts(with: "console".utf8) || word.starts(with: "chat".utf8) { return (.console, 1) }
        if word.starts(with: "dream".utf8) { return (.dreamer, 2) }
        return nil
    }

    /// Split at everything that is neither letter nor digit and before a capital that follows a small letter; in lower case.
    private static func words(of id: String) -> [[UInt8]] {
        var words: [[UInt8]] = []
        var word: [UInt8] = []
        var followsSmallLetter = false
        for byte in id.utf8 {
            let isSmall = (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
            let isCapital = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
            let isDigit = (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            // Bytes beyond ASCII belong to letters of other scripts: they part no words.
            let isWordByte = isSmall || isCapital || isDigit || byte >= 0x80
            if !isWordByte || (isCapital && followsSmallLetter) {
                if !word.isEmpty { words.append(word) }
                word.removeAll(keepingCapacity: true)
            }
            if isWordByte { word.append(isCapital ? byte + 32 : byte) }
            followsSmallLetter = isSmall
        }
        if !word.isEmpty { words.append(word) }
        return words
    }
}

/// The Date header's line (RFC 9110 §5.6.7), written anew once a second at most.
struct DateLine {
    private(set) var bytes: [UInt8] = []
    private var writtenAt: Duration?

    /// - Parameters:
    ///   - now: by the clock of decisions, which tells when to write the line anew.
    ///   - wallClock: since 1970; asked only then.
    mutating func look(_ now: Duration, wallClock: @autoclosure () -> Duration) {
        if let writtenAt, now - writtenAt < .seconds(1) { return }
        writtenAt = now
        bytes = Array("Date: \(Self.text(wallClock().components.seconds))\r\n".utf8)
    }

    static func text(_ secondsSince1970: Int64) -> String {
        let days = Int((Double(secondsSince1970) / 86400).rounded(.down))
        let rest = Int(secondsSince1970) - days * 86400
        let (year, month, day) = civil(days)
        let weekday = weekdays[((days + 4) % 7 + 7) % 7]  // 1970 began on a Thursday
        return "\(weekday), \(two(day)) \(months[month - 1]) \(year) "
            + "\(two(rest / 3600)):\(two(rest / 60 % 60)):\(two(rest % 60)) GMT"
    }

    private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

    /// The Gregorian date of a day since 1970, for years of four digits: counted from March, so that the leap day is
    /// the year's last.
    private static func civil(_ days: Int) -> (year: Int, month: Int, day: Int) {
        var year = 1970 + days / 366
        while firstDay(year + 1) <= days { year += 1 }
        var rest = days - firstDay(year)
        var month = 1
        while rest >= length(month, year) {
            rest -= length(month, year)
            month += 1
        }
        return (year, month, rest + 1)
    }

    private static func firstDay(_ year: Int) -> Int {
        let before = year - 1
        return (year - 1970) * 365 + (before / 4 - before / 100 + before / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400)
    }

    private static func length(_ month: Int, _ year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}

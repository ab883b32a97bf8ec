/// A moment of the wall clock as people write it.
package enum Timestamp {
    /// RFC 3339 in UTC with milliseconds, `2026-11-24T16:13:29.123Z`. `time` is since 1970; before that reads as 1970.
    package static func text(_ time: Duration) -> String {
        let (whole, attoseconds) = max(time, .zero).components
        let (days, second) = whole.quotientAndRemainder(dividingBy: 86_400)
        let (year, month, day) = date(daysSince1970: days)
        let clock = "\(padded(second / 3600)):\(padded(second / 60 % 60)):\(padded(second % 60))"
        let milliseconds = padded(attoseconds / 1_000_000_000_000_000, to: 3)
        return "\(padded(year, to: 4))-\(padded(month))-\(padded(day))T\(clock).\(milliseconds)Z"
    }

    /// The Gregorian calendar repeats every 400 years of 146,097 days. Years are counted from March here, so that the
    /// leap day is the last one of its year.
    private static func date(daysSince1970 days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let sinceMarchOfYear0 = days + 719_468
        let (era, dayOfEra) = sinceMarchOfYear0.quotientAndRemainder(dividingBy: 146_097)
        let leapDays = dayOfEra / 1460 - dayOfEra / 36_524 + dayOfEra / 146_096
        let yearOfEra = (dayOfEra - leapDays) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, day)
    }

    private static func padded(_ number: Int64, to width: Int = 2) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

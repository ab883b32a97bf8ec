import Glibc

/// Logarithms, which the standard library leaves to C.
package enum Logarithm {
    /// The decimal logarithm of a positive value.
    package static func ten(_ value: Double) -> Double { log10(value) }

    /// 10 to the power of a whole number.
    package static func power(_ exponent: Int) -> Double { pow(10, Double(exponent)) }
}

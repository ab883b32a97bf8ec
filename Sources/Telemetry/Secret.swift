/// A value that no log, error, interpolation or dump shows.
package struct Secret<Value> {
    /// The value itself; to be called only where it is used, never where text is made for people.
    package let revealed: Value

    package init(_ value: Value) { revealed = value }
}

extension Secret: Sendable where Value: Sendable {}
extension Secret: Equatable where Value: Equatable {}
extension Secret: Hashable where Value: Hashable {}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "(secret)" }
    package var debugDescription: String { "(secret)" }
    package var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
}

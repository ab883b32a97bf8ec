import CSystem
import Glibc

/// The terminal that this process is shown on.
package enum Terminal {
    /// Characters that fit.
    package struct Size: Equatable, Sendable {
        package let columns: Int
        package let rows: Int

        package init(columns: Int, rows: Int) {
            self.columns = columns
            self.rows = rows
        }
    }

    /// The size of the terminal at the output, the error output or the input; nil where none of them is one.
    package static var size: Size? {
        for descriptor in [1, 2, 0] as [Int32] {
            var columns: Int32 = 0
            var rows: Int32 = 0
            if shim_terminal_size(descriptor, &columns, &rows) == 0, columns > 0, rows > 0 {
                return Size(columns: Int(columns), rows: Int(rows))
            }
        }
        return nil
    }
}

import Testing

@testable import LeaseStore

@Suite struct ScriptTextTests {
    private static let piece = """
        -- Piece: what scripts share; calls unused(
        local P = KEYS[1]
        local now, offset
        do
          now = tonumber(P)
        end
        local function inner(text)
          return text .. 'unused' -- unused
        end
        local function outer() return inner('x') end
        local function unused()
          return 1
        end
        local names = { 'one',
          'two' }
        local later
        local function early() return later() end
        function later() return 2 end

        """

    private func text(before body: String) -> String {
        var text = ScriptText()
        text.add(.init(Array(Self.piece.utf8)))
        return String(decoding: text.before(Array(body.utf8)), as: UTF8.self)
    }

    @Test func `a script gets what it names, and what that names`() {
        #expect(
            text(before: "return outer()") == """
                local P = KEYS[1]
                local now, offset
                do
                  now = tonumber(P)
                end
                local function inner(text)
                  return text .. 'unused' -- unused
                end
                local function outer() return inner('x') end
                return outer()
                """)
    }

    @Test func `a constant of several lines goes with its name`() {
        #expect(text(before: "return names").hasSuffix("local names = { 'one',\n  'two' }\nreturn names"))
    }

    @Test func `what is declared before it is made goes with its name`() {
        #expect(text(before: "return 1").contains("later") == false)
        #expect(
            text(before: "return early()").hasSuffix(
                "local later\nlocal function early() return later() end\nfunction later() return 2 end\nreturn early()")
        )
    }

    @Test func `words in comments and texts name nothing`() {
        #expect(!text(before: "return 'outer' -- names").contains("function"))
    }

    @Test func `the product's scripts go without what they do not call`() {
        let confirm = String(decoding: ScriptLibrary.confirm.source, as: UTF8.self)
        #expect(confirm.contains("local function spanning(") && confirm.contains("local function warm("))
        #expect(!confirm.contains("function settle(") && !confirm.contains("function offer("))
    }

    @Test func `functions that are called rarely are made by the first call, with what only they need`() {
        var text = ScriptText()
        text.add(
            .init(
                Array(
                    """
                    local function both() return 1 end
                    local function only_rare() return both() end
                    local function often(x) return x.seldom or seldom(x) end

                    """.utf8)))
        text.add(
            .init(
                Array(
                    """
                    local LIMIT = 3
                    local function unneeded() return 2 end
                    local function seldom(x) return x == LIMIT and later() or only_rare() end
                    local function later() return both() end

                    """.utf8)), isRare: true)
        #expect(
            String(decoding: text.before(Array("return often(both())".utf8)), as: UTF8.self) == """
                local rare
                local function both() return 1 end
                local function often(x) return x.seldom or rare().seldom(x) end
                rare = function()
                local function only_rare() return both() end
                local LIMIT = 3
                local function seldom(x) return x == LIMIT and rare().later() or only_rare() end
                local function later() return both() end
                local made = { later = later, seldom = seldom }
                rare = function() return made end
                return made
                end
                return often(both())
                """)
        #expect(!String(decoding: text.before(Array("return both()".utf8)), as: UTF8.self).contains("rare"))
    }
}

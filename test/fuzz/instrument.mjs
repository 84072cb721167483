// Counts which blocks of a JavaScript file run: a counter before the body of each function, branch, loop, case and catch, and before the part of an
// expression that runs only sometimes. By the compiler that is here anyway; coverage packages count lines, and are slower.
import ts from "typescript";

/** The global variable with the counters, a byte each. */
export const COUNTERS = "latentwireCounters";

const isOneOf = (node, ...kinds) => kinds.includes(node.kind);
const { SyntaxKind } = ts;
const LOGICAL = [SyntaxKind.AmpersandAmpersandToken, SyntaxKind.BarBarToken, SyntaxKind.QuestionQuestionToken];

/** The text of a file with counters from number `first` on, and the number of the counter after them. */
export function instrument(text, first) {
  const source = ts.createSourceFile("file.js", text, ts.ScriptTarget.ES2022, true, ts.ScriptKind.JS);
  const edits = [];
  let next = first;
  const count = () => `${COUNTERS}[${next++}]++`;
  const before = (at, by) => edits.push({ at, by, order: edits.length });
  const after = (at, by) => edits.push({ at, by, order: -1 - edits.length });
  const visit = (node) => {
    const ends = [];
    const expression = (part) => {
      before(part.getStart(), `(${count()},`);
      ends.push([part, ")"]);
    };
    const statement = (part) => {
      if (part === undefined) return;
      if (ts.isBlock(part)) return before(part.getStart() + 1, `${count()};`);
      before(part.getStart(), `{${count()};`);
      ends.push([part, "}"]);
    };
    if (ts.isFunctionLike(node) && node.body) {
      if (ts.isBlock(node.body)) statement(node.body);
      else expression(node.body);
    } else if (ts.isIfStatement(node)) {
      statement(node.thenStatement);
      statement(node.elseStatement);
    } else if (
      isOneOf(
        node,
        ...[SyntaxKind.ForStatement, SyntaxKind.ForInStatement, SyntaxKind.ForOfStatement],
        ...[SyntaxKind.WhileStatement, SyntaxKind.DoStatement],
      )
    )
      statement(node.statement);
    else if (ts.isCaseOrDefaultClause(node)) {
      if (node.statements.length > 0) before(node.statements[0].getStart(), `${count()};`);
    } else if (ts.isCatchClause(node)) statement(node.block);
    else if (ts.isConditionalExpression(node)) {
      expression(node.whenTrue);
      expression(node.whenFalse);
    } else if (ts.isBinaryExpression(node) && LOGICAL.includes(node.operatorToken.kind)) expression(node.right);
    ts.forEachChild(node, visit);
    // What begins first ends last.
    for (const [part, mark] of ends.reverse()) after(part.end, mark);
  };
  visit(source);
  // At one place: ends first, the inner ones before the outer ones; then beginnings, the outer ones first.
  edits.sort(
    (a, b) => a.at - b.at || Number(a.order >= 0) - Number(b.order >= 0) || Math.abs(a.order) - Math.abs(b.order),
  );
  let out = "";
  let at = 0;
  for (const edit of edits) {
    out += text.slice(at, edit.at) + edit.by;
    at = edit.at;
  }
  return { text: out + text.slice(at), next };
}

/** Runs a command: a mistake of the user ends in one line, not in a stack; a closed pipe (`| head`) ends it quietly. */
export function program(main: () => Promise<void>): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit();
  });
  main().catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  });
}

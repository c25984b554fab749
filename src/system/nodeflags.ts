/** Flags of Node for the processes of the agent, before the name of the script. */
export const NODE_FLAGS = ['--import', new URL('./typestrip/register.js', import.meta.url).href]

/* The C client against one server: scenario SERVER PROXY-CONTROL. Prints `ok STEP` or `FAILED STEP`, in the end `done`. */
#include "harness.h"

#include <stdio.h>

int main(int count, char **arguments) {
    if (count != 3) {
        fprintf(stderr, "usage: scenario SERVER PROXY-CONTROL\n");
        return 2;
    }
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    server_address = arguments[1];
    open_control(arguments[2]);
    run_basics();
    run_shared();
    run_sessions();
    run_story();
    printf("done\n");
    return failed_steps() > 0 ? 1 : 0;
}

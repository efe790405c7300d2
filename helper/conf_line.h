/* Lines of a configuration file, read as lib/config/conf_file.ts reads them. */
#ifndef CONF_LINE_H
#define CONF_LINE_H

#include "store_config.h"

/* A line's content, in the line's own memory. */
struct conf_line {
    const char *key; /* NULL: an empty line or a comment */
    const char *value;
    bool is_literal; /* in single quotes */
};

/* White space taken off at both ends, in place. */
char *trim(char *text);

/* Take a line apart, in place; false when it is no KEY VALUE line. */
bool parse_conf_line(char *line, struct conf_line *parsed);

/* Whether a value can be the name of a dataset. */
bool is_dataset_name(const char *value);

/* Make a path of the value of ENROOT_DATA_PATH, all but its origin. Returns the rule that it breaks, or
 * NULL. */
const char *expand_data_path(const char *value, bool is_literal, uid_t uid,
                             struct data_path *data_path);

#endif

'use strict';

// The tutorial's server as it stands there: an update is a line in the log, and nothing else.

const { serve } = require('./server');

serve(() => {});

// First: TensorFlow.js takes the function for frames when it is loaded.
import { frames } from './no-frames.js';
import { serve } from './task.js';

serve(frames);

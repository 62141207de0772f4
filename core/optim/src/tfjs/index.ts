export { convert } from './convert.js';
export { adadelta, adagrad, adam, adamax, momentum, rmsprop, sgd } from './optimizers.js';
